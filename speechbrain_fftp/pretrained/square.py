"""Reuses the weights of square patches for full-frequency ones.

https://arxiv.org/abs/2508.21243 leaves open how to start from models with
square patches. A full-frequency patch of the same frames can compute the mean
of a column of square tokens exactly: its kernel is the mean of the square one
at all rows, and its position the mean of theirs. Blocks, norms and class tokens
stay the same.

Authors
 * The speechbrain_fftp authors 2026
"""

import copy

import torch

from speechbrain_fftp.nnet.position import PositionEmbedding
from speechbrain_fftp.pretrained.renaming import PATCHES, POSITIONS


def square_to_fftp(
    encoder: torch.nn.Module, embedding: torch.nn.Module
) -> torch.nn.Module:
    """Copies an AST or AuM with full-frequency instead of square patches.

    Tokens of patches that are as long as the square ones are the means of their
    columns. Longer ones are the means of all square tokens within them. Shorter
    ones are those of a clip whose frames outside the patch repeat its first and
    last one.

    Arguments
    ---------
    encoder : torch.nn.Module
        With square patches; it is not changed.
    embedding : torch.nn.Module
        An ``FFTPEmbedding``, which is copied with new weights.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    ValueError
        If the encoder's patches are not square, or the embedding does not fit.
    """
    old = encoder.embedding
    if old.freq_patches == 1 or not is_one_layer(embedding):
        raise ValueError(
            "square_to_fftp turns square patches into full-frequency ones of a "
            f"single layer, not {type(old).__name__} into "
            f"{type(embedding).__name__}."
        )
    new = copy.deepcopy(encoder)
    new.embedding = copy.deepcopy(embedding)
    if hasattr(new, "position"):
        columns = embedding.num_patches(encoder.max_frames)
        new.position = PositionEmbedding(1, columns, encoder.embed_dim)
    stride = (old.stride_frames, old.stride_bins)
    new.load_state_dict(
        to_full_frequency(encoder.state_dict(), embedding, stride)
    )
    return new.train(encoder.training)


def is_one_layer(embedding):
    """Whether patches are full-frequency ones of a single convolution."""
    return embedding.freq_patches == 1 and embedding.stem is None


def to_full_frequency(state, embedding, stride):
    """Turns a state dict with square patches into one for an FFTP embedding.

    ``stride`` is from one square patch to the next, in frames and in bins. Time
    positions are still those of the square patches' columns.
    """
    square = state[PATCHES]
    width, _, bins, frames = square.shape
    n_mels = embedding.n_mels
    wanted = embedding.patch_frames
    stride_frames, stride_bins = stride
    rows = range(0, n_mels - bins + 1, stride_bins)
    columns = range(0, max(wanted - frames, 0) + 1, stride_frames)
    kernel = square.new_zeros(width, 1, n_mels, max(wanted, frames))
    # The square tokens that fit in are in the middle of a longer patch.
    left = max(wanted - frames - columns[-1], 0) // 2
    for row in rows:
        for column in columns:
            start = left + column
            kernel[:, :, row : row + bins, start : start + frames] += square
    kernel /= len(rows) * len(columns)
    excess = frames - wanted
    if excess > 0:  # frames outside the patch count for its first and last one
        first = excess // 2
        last = excess - excess // 2
        kernel[..., first] += kernel[..., :first].sum(-1)
        kernel[..., -last - 1] += kernel[..., -last:].sum(-1)
        kernel = kernel[..., first : frames - last]
    state = {**state, PATCHES: kernel}
    if POSITIONS in state:
        state[POSITIONS] = state[POSITIONS].mean(0, keepdim=True)
    return state
