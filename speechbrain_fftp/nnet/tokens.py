"""From clips to tokens, and from tokens to the embedding of a clip.

Positions along time are called time patches. Square patches give several tokens
per time patch, ordered frequency-major.

Authors
 * The speechbrain_fftp authors 2026
"""

from typing import NamedTuple, Optional

import torch

POOLINGS = ("cls", "mean", "cls+mean")


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

    Unlike ``length_to_mask`` of ``speechbrain.dataio.dataio``, whose ``len``
    fixes the number of clips of an exported model.

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
    """The outputs of an encoder.

    Arguments
    ---------
    embedding : torch.Tensor
        Embedding ``[B, 1, D]`` of each clip.
    tokens : torch.Tensor
        Tokens over time ``[B, T', D]``, of any value in padding.
    valid : torch.Tensor or None
        True for a clip's valid tokens ``[B, T']``; None if all are.

    Example
    -------
    >>> clips = EncodedClips(torch.rand(2, 1, 8), torch.rand(2, 12, 8), None)
    >>> clips.tokens.shape
    torch.Size([2, 12, 8])
    """

    embedding: torch.Tensor
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
    time_patches : torch.Tensor or None
        Each clip's number of time patches ``[B]``, on the device of the
        features.
    valid : torch.Tensor or None
        True for a clip's valid time patches ``[B, T']``.

    Example
    -------
    >>> from speechbrain_fftp.nnet.patching import FFTPEmbedding
    >>> tokens, time_patches, valid = embed_clips(
    ...     FFTPEmbedding(16, 8), torch.rand(2, 100, 16), torch.tensor([1, 0.5])
    ... )
    >>> tokens.shape, time_patches, valid.shape
    (torch.Size([2, 16, 8]), tensor([16,  6]), torch.Size([2, 16]))
    """
    if lengths is None:
        return embedding(feats), None, None
    n_frames = count_valid(lengths, feats.shape[1])
    n_frames = n_frames.to(feats.device, non_blocking=True)
    padding = ~length_mask(n_frames, feats.shape[1])
    # [B, T, F] -> [B, F' * T', D]
    tokens = embedding(feats.masked_fill(padding.unsqueeze(2), 0.0))
    time_patches = embedding.time_patches(n_frames)
    n_time_patches = tokens.shape[1] // embedding.freq_patches
    return tokens, time_patches, length_mask(time_patches, n_time_patches)


def pool_tokens(pooling, cls, tokens, valid=None):
    """The embedding of each clip.

    Arguments
    ---------
    pooling : str
        One of ``POOLINGS``.
    cls : torch.Tensor
        The mean of the class tokens ``[B, 1, D]``.
    tokens : torch.Tensor
        Tokens ``[B, N, D]``.
    valid : torch.Tensor, optional
        True for a clip's valid tokens ``[B, N]``; by default, all are.

    Returns
    -------
    torch.Tensor
        ``[B, 1, D]``.

    Example
    -------
    >>> cls, tokens = torch.tensor([[[1.0]]]), torch.tensor([[[2.0], [4.0]]])
    >>> pool_tokens("cls+mean", cls, tokens)
    tensor([[[2.]]])
    """
    if pooling == "cls":
        return cls
    if pooling == "mean":
        return mean_token(tokens, valid)
    return (cls + mean_token(tokens, valid)) / 2


def mean_token(tokens, valid=None):
    """The mean of a clip's valid tokens.

    Arguments
    ---------
    tokens : torch.Tensor
        Tokens ``[B, N, D]``.
    valid : torch.Tensor, optional
        True for a clip's valid tokens ``[B, N]``; by default, all are.

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
