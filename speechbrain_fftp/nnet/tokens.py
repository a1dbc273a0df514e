"""From clips to tokens, and from tokens to the embedding of a clip.

Positions along time are called time steps. Square patches give several tokens
per time step, ordered frequency-major.

Authors
 * The speechbrain_fftp authors 2026
"""

from typing import NamedTuple, Optional

import torch


def trim_padding(feats, lengths):
    """Removes the padding that all clips share and zeroes the rest.

    Lengths on the CPU avoid a GPU synchronisation.

    Arguments
    ---------
    feats : torch.Tensor
        Features ``[B, T, F]``.
    lengths : torch.Tensor or None
        Lengths ``[B]`` relative to T; None if all clips are equally long.

    Returns
    -------
    feats : torch.Tensor
        Features with the T of the longest clip; not trimmed in compiled code.
    n_frames : torch.Tensor or None
        Each clip's number of frames ``[B]``, ``round(lengths * T)`` and at
        least one; None if all clips are equally long.

    Example
    -------
    >>> feats, n_frames = trim_padding(
    ...     torch.ones(2, 10, 4), torch.tensor([0.8, 0.3])
    ... )
    >>> feats.shape, n_frames
    (torch.Size([2, 8, 4]), tensor([8, 3]))
    """
    if lengths is None:
        return feats, None
    n_frames = (lengths * feats.shape[1]).round().long().clamp(min=1)
    # One compiled or exported graph serves all lengths: it masks all padding.
    if not torch.compiler.is_compiling():
        longest = int(n_frames.max())
        feats = feats[:, :longest]
        if int(n_frames.min()) == longest:
            return feats, None
    n_frames = n_frames.to(feats.device, non_blocking=True)
    valid = length_mask(n_frames, feats.shape[1])
    return feats.masked_fill(~valid.unsqueeze(2), 0.0), n_frames


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


class ClipTokens(NamedTuple):
    """The tokens of a batch of clips.

    Arguments
    ---------
    tokens : torch.Tensor
        Tokens ``[B, F' * T', D]``.
    n_steps : int
        Number of time steps T'.
    step_counts : torch.Tensor, optional
        Each clip's own number of time steps ``[B]``; None if all clips are
        equally long.
    valid : torch.Tensor, optional
        True for a clip's own time steps ``[B, T']``; None if all are.

    Example
    -------
    >>> ClipTokens(torch.rand(2, 12, 8), n_steps=12).valid
    """

    tokens: torch.Tensor
    n_steps: int
    step_counts: Optional[torch.Tensor] = None
    valid: Optional[torch.Tensor] = None


def embed_clips(embedding, feats, lengths):
    """Embeds the frames of each clip.

    Arguments
    ---------
    embedding : torch.nn.Module
        A patch embedding.
    feats : torch.Tensor
        Features ``[B, T, F]``.
    lengths : torch.Tensor or None
        Lengths ``[B]`` relative to T; None if all clips are equally long.

    Returns
    -------
    ClipTokens
        The tokens, and the mask of each clip's own.

    Example
    -------
    >>> from speechbrain_fftp.nnet.patching import FFTPEmbedding
    >>> clips = embed_clips(
    ...     FFTPEmbedding(16, 8), torch.rand(2, 100, 16), torch.tensor([1, 0.5])
    ... )
    >>> clips.tokens.shape, clips.step_counts
    (torch.Size([2, 16, 8]), tensor([16,  6]))
    """
    feats, n_frames = trim_padding(feats, lengths)
    # [B, T, F] -> [B, F' * T', D]
    tokens = embedding(feats)
    n_steps = tokens.shape[1] // embedding.freq_patches
    if n_frames is None:
        return ClipTokens(tokens, n_steps)
    step_counts = embedding.time_patches(n_frames)
    valid = length_mask(step_counts, n_steps)
    return ClipTokens(tokens, n_steps, step_counts, valid)


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


def pool_tokens(pooling, cls, tokens, valid=None):
    """Pools the tokens of each clip.

    Arguments
    ---------
    pooling : str
        "cls", "mean", "cls+mean", or "tokens", which keeps them.
    cls : torch.Tensor or None
        Mean of the class tokens ``[B, 1, D]``, if any.
    tokens : torch.Tensor
        The patch tokens ``[B, N, D]``.
    valid : torch.Tensor, optional
        True for a clip's own tokens ``[B, N]``; by default, all are.

    Returns
    -------
    torch.Tensor
        ``[B, 1, D]``; with "tokens", ``[B, N, D]``, 0.0 in padding.

    Raises
    ------
    ValueError
        If ``pooling`` is unknown.

    Example
    -------
    >>> pool_tokens("mean", None, torch.rand(2, 10, 8)).shape
    torch.Size([2, 1, 8])
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
    if pooling == "mean":
        return mean
    if pooling == "cls+mean":
        return (cls + mean) / 2
    raise ValueError(
        f"pooling={pooling!r} must be cls, mean, cls+mean or tokens."
    )


def own_tokens(tokens):
    """Mask of a clip's own tokens in the output of ``pooling="tokens"``.

    Arguments
    ---------
    tokens : torch.Tensor
        Tokens ``[B, N, D]``, 0.0 in padding.

    Returns
    -------
    torch.Tensor
        ``[B, N]``, False in padding.

    Example
    -------
    >>> own_tokens(torch.tensor([[[0.5, 0.0], [0.0, 0.0]]]))
    tensor([[ True, False]])
    """
    return (tokens != 0).any(2)
