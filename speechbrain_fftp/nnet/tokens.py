"""What encoders do with tokens that are in the order of time.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

from speechbrain_fftp.nnet.patching import _trim_padding

POOLINGS = ("cls", "mean", "cls+mean", "tokens")


def _embed_clips(embedding, feats, wav_lens):
    """Embeds the frames of each clip, with a stride that the embedding draws.

    Returns tokens ``[B, F' * T', D]`` and the stride; each clip's own number of
    columns ``[B]``, and which columns are its own ``[B, T']``. The latter two
    are None if all clips are equally long.
    """
    feats, n_frames = _trim_padding(feats, wav_lens)
    stride = embedding.draw_stride()
    # [B, T, F] -> [B, F' * T', D]
    tokens = embedding(feats, stride)
    if n_frames is None:
        return tokens, stride, None, None
    valid = embedding.time_patches(n_frames, stride)
    columns = tokens.shape[1] // embedding.freq_patches
    own = torch.arange(columns, device=feats.device) < valid[:, None]
    return tokens, stride, valid, own


def pool(pooling, cls, tokens, valid=None):
    """Pools the output of an encoder over a clip.

    Arguments
    ---------
    pooling : str
        "cls", the class tokens; "mean", the mean over the clip's own tokens;
        "cls+mean", the mean of both; or "tokens", all tokens, those of padding
        0.0, for outputs over time.
    cls : torch.Tensor
        The mean of the class tokens ``[B, 1, D]``.
    tokens : torch.Tensor
        The other tokens ``[B, N, D]``.
    valid : torch.Tensor, optional
        True for the clip's own tokens ``[B, N]``; all by default.

    Returns
    -------
    torch.Tensor
        ``[B, 1, D]``, or ``[B, N, D]`` of "tokens".

    Example
    -------
    >>> tokens = torch.tensor([[[1.0], [3.0], [9.0]]])
    >>> valid = torch.tensor([[True, True, False]])
    >>> pool("mean", torch.zeros(1, 1, 1), tokens, valid)
    tensor([[[2.]]])
    """
    if pooling == "cls":
        return cls
    if valid is None:
        valid = tokens.new_ones(tokens.shape[:2])
    weights = valid.to(tokens.dtype).unsqueeze(2)
    if pooling == "tokens":
        return tokens * weights
    mean = (tokens * weights).sum(1, keepdim=True)
    mean = mean / weights.sum(1, keepdim=True)
    return mean if pooling == "mean" else (cls + mean) / 2


def _own_tokens(tokens):
    """True for a clip's own tokens ``[B, N]`` among those of "tokens"."""
    return (tokens != 0).any(2)


def _check_pooling(pooling, known=POOLINGS):
    """Raises a ValueError if a kind of pooling is unknown."""
    if pooling not in known:
        raise ValueError(
            f"pooling={pooling!r} must be one of {', '.join(known)}."
        )


class TokenConvolution(torch.nn.Conv1d):
    """A depthwise convolution over a clip's own tokens.

    It gives attention a sense of what is near in time, as the conditional
    positions of https://arxiv.org/abs/2102.10882 do.

    Arguments
    ---------
    embed_dim : int
        Number of channels D of a token.
    kernel : int
        Tokens that an output depends on, an odd number.

    Raises
    ------
    ValueError
        If the kernel is not odd.

    Example
    -------
    >>> TokenConvolution(192, kernel=9)(torch.rand(2, 196, 192)).shape
    torch.Size([2, 196, 192])
    """

    def __init__(self, embed_dim, kernel):
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"The kernel must be odd, not {kernel}.")
        super().__init__(
            embed_dim, embed_dim, kernel, padding=kernel // 2, groups=embed_dim
        )

    def forward(self, tokens, valid=None):
        """Applies the convolution.

        Arguments
        ---------
        tokens : torch.Tensor
            Tokens ``[B, N, D]``, in the order of time.
        valid : torch.Tensor, optional
            True for a clip's own tokens ``[B, N]``; others are not read.

        Returns
        -------
        torch.Tensor
            Tokens ``[B, N, D]``.
        """
        own = tokens if valid is None else tokens * valid.unsqueeze(2)
        # [B, N, D] -> [B, D, N] -> [B, N, D]
        return super().forward(own.transpose(1, 2)).transpose(1, 2)
