"""From clips to tokens, and from tokens to the embedding of a clip.

Positions along time are called time steps. Square patches give several tokens
per time step, ordered frequency-major.

Authors
 * The speechbrain_fftp authors 2026
"""

from typing import NamedTuple, Optional

import torch


def count_valid(lengths, size):
    """Converts relative lengths to numbers of samples, frames or tokens.

    In float32, exact up to 2**23, 8 minutes of samples at 16 kHz.

    Arguments
    ---------
    lengths : torch.Tensor
        Lengths ``[B]`` relative to the length of the batch.
    size : int
        Length N of the batch.

    Returns
    -------
    torch.Tensor
        Absolute lengths ``[B]``, at least 1.

    Example
    -------
    >>> count_valid(torch.tensor([1.0, 0.49, 0.0]), 10)
    tensor([10,  5,  1])
    """
    return (lengths * size).round().long().clamp(min=1)


def length_mask(lengths, size):
    """Mask of the valid positions of a padded batch.

    Arguments
    ---------
    lengths : torch.Tensor
        Absolute lengths ``[B]``.
    size : int
        Length N of the batch.

    Returns
    -------
    torch.Tensor
        ``[B, N]``, False in padding.

    Example
    -------
    >>> length_mask(torch.tensor([3, 1]), 3)
    tensor([[ True,  True,  True],
            [ True, False, False]])
    """
    return torch.arange(size, device=lengths.device) < lengths.unsqueeze(1)


class EncodedClips(NamedTuple):
    """The outputs of an encoder, before they are pooled.

    Arguments
    ---------
    cls : torch.Tensor or None
        Mean of the class tokens ``[B, 1, D]``, if the encoder has any.
    tokens : torch.Tensor
        Tokens over time ``[B, T', D]``, of any value in padding.
    valid : torch.Tensor or None
        True for a clip's own tokens ``[B, T']``; None if all are.

    Example
    -------
    >>> EncodedClips(None, torch.rand(2, 12, 8), None).tokens.shape
    torch.Size([2, 12, 8])
    """

    cls: Optional[torch.Tensor]
    tokens: torch.Tensor
    valid: Optional[torch.Tensor]


def embed_clips(embedding, feats, lengths=None):
    """Embeds the frames of each clip.

    Arguments
    ---------
    embedding : torch.nn.Module
        A patch embedding.
    feats : torch.Tensor
        Features ``[B, T, F]``.
    lengths : torch.Tensor, optional
        Lengths ``[B]`` relative to T; None if all clips are equally long.

    Returns
    -------
    tokens : torch.Tensor
        Tokens ``[B, F' * T', D]``.
    step_counts : torch.Tensor or None
        Each clip's number of time steps ``[B]``, on the device of the features.
    valid : torch.Tensor or None
        True for a clip's own time steps ``[B, T']``.

    Example
    -------
    >>> from speechbrain_fftp.nnet.patching import FFTPEmbedding
    >>> tokens, step_counts, valid = embed_clips(
    ...     FFTPEmbedding(16, 8), torch.rand(2, 100, 16), torch.tensor([1, 0.5])
    ... )
    >>> tokens.shape, step_counts, valid.shape
    (torch.Size([2, 16, 8]), tensor([16,  6]), torch.Size([2, 16]))
    """
    if lengths is None:
        return embedding(feats), None, None
    n_frames = count_valid(lengths, feats.shape[1])
    n_frames = n_frames.to(feats.device, non_blocking=True)
    padding = ~length_mask(n_frames, feats.shape[1])
    # [B, T, F] -> [B, F' * T', D]
    tokens = embedding(feats.masked_fill(padding.unsqueeze(2), 0.0))
    step_counts = embedding.time_patches(n_frames)
    n_steps = tokens.shape[1] // embedding.freq_patches
    return tokens, step_counts, length_mask(step_counts, n_steps)


def token_batch_norm(norm, tokens, valid=None):
    """Applies batch normalisation with the statistics of the clips' own tokens.

    A single token is normalised by the running statistics. This is a function
    rather than a layer because training on several GPUs replaces the layer with
    ``SyncBatchNorm``.

    Arguments
    ---------
    norm : torch.nn.BatchNorm1d
        The layer.
    tokens : torch.Tensor
        Tokens ``[B, N, D]``.
    valid : torch.Tensor, optional
        True for a clip's own tokens ``[B, N]``; padding is set to 0.0.

    Returns
    -------
    torch.Tensor
        Tokens ``[B, N, D]``.

    Example
    -------
    >>> norm = torch.nn.BatchNorm1d(8)
    >>> token_batch_norm(norm, torch.rand(2, 10, 8)).mean().abs() < 1e-6
    tensor(True)
    """
    if norm.training and valid is not None:
        normalised = token_batch_norm(norm, tokens[valid].unsqueeze(0))[0]
        zeros = normalised.new_zeros(tokens.shape)
        return zeros.index_put((valid,), normalised)
    flat = tokens.flatten(0, 1)  # [B * N, D]
    if norm.training and len(flat) == 1 and type(norm) is torch.nn.BatchNorm1d:
        flat = torch.nn.functional.batch_norm(
            flat,
            norm.running_mean,
            norm.running_var,
            norm.weight,
            norm.bias,
            eps=norm.eps,
        )
    else:
        flat = norm(flat)
    if valid is not None:
        flat = flat.masked_fill(~valid.flatten().unsqueeze(1), 0.0)
    return flat.view_as(tokens)


class PooledEncoder(torch.nn.Module):
    """An encoder whose embeddings are pooled tokens; subclasses ``encode``.

    Arguments
    ---------
    pooling : str
        "cls", "mean" or "cls+mean".

    Example
    -------
    >>> class Frames(PooledEncoder):
    ...     def encode(self, feats, lengths=None):
    ...         return EncodedClips(None, feats, None)
    >>> Frames("mean")(torch.rand(2, 10, 8)).shape
    torch.Size([2, 1, 8])
    """

    def __init__(self, pooling):
        super().__init__()
        self.pooling = pooling

    def forward(self, feats, lengths=None):
        """Encodes a batch of spectrograms.

        Arguments
        ---------
        feats : torch.Tensor
            Normalised features ``[B, T, F]``.
        lengths : torch.Tensor, optional
            Length ``[B]`` of each clip relative to T. Only its first
            ``round(lengths * T)`` frames are used.

        Returns
        -------
        torch.Tensor
            Embedding ``[B, 1, D]`` of each clip.
        """
        return self.pool(self.encode(feats, lengths))

    def pool(self, clips):
        """Pools the output of ``encode``.

        Arguments
        ---------
        clips : EncodedClips
            The tokens.

        Returns
        -------
        torch.Tensor
            Embedding ``[B, 1, D]`` of each clip.

        Raises
        ------
        ValueError
            If the pooling is unknown.
        """
        if self.pooling == "cls":
            return clips.cls
        if self.pooling == "mean":
            return mean_token(clips.tokens, clips.valid)
        if self.pooling == "cls+mean":
            return (clips.cls + mean_token(clips.tokens, clips.valid)) / 2
        raise ValueError(
            f"pooling={self.pooling!r} must be cls, mean or cls+mean."
        )


def mean_token(tokens, valid=None):
    """The mean of a clip's own tokens.

    Arguments
    ---------
    tokens : torch.Tensor
        Tokens ``[B, N, D]``.
    valid : torch.Tensor, optional
        True for a clip's own tokens ``[B, N]``; by default, all are.

    Returns
    -------
    torch.Tensor
        ``[B, 1, D]``.

    Example
    -------
    >>> tokens = torch.tensor([[[1.0], [2.0], [9.0]]])
    >>> mean_token(tokens, torch.tensor([[True, True, False]]))
    tensor([[[1.5000]]])
    """
    if valid is None:
        return tokens.mean(1, keepdim=True)
    weights = valid.to(tokens.dtype).unsqueeze(2)
    total = (tokens * weights).sum(1, keepdim=True)
    return total / weights.sum(1, keepdim=True)
