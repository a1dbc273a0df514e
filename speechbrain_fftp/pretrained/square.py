"""Reuses the weights of square patches for full-frequency patches.

https://arxiv.org/abs/2508.21243 leaves open how to start from models with
square patches. A full-frequency patch of the same frames can compute the mean
of a column of square tokens exactly: its weights are the mean of the square
weights placed at all rows, its position embedding the mean over the rows.
Blocks, norms and class tokens stay the same.

Authors
 * The speechbrain_fftp authors 2026
"""

import copy

import torch

from speechbrain_fftp.nnet.position import PositionEmbedding
from speechbrain_fftp.pretrained.weights import PATCHES, POSITIONS


def square_to_fftp(
    encoder: torch.nn.Module, embedding: torch.nn.Module
) -> torch.nn.Module:
    """Copies an AST or AuM with full-frequency instead of square patches.

    Arguments
    ---------
    encoder : torch.nn.Module
        An encoder with square patches, which is not changed.
    embedding : torch.nn.Module
        An ``FFTPEmbedding``, which is copied with new weights.

    Returns
    -------
    torch.nn.Module
        The encoder with full-frequency patches.
    """
    new = copy.deepcopy(encoder)
    new.embedding = copy.deepcopy(embedding)
    columns = embedding.time_patches(encoder.max_frames)
    new.position = PositionEmbedding(1, columns, encoder.embed_dim)
    square = encoder.embedding
    size = (square.patch_frames, square.patch_bins)
    state = encoder.state_dict()
    state[POSITIONS] = change_stride(
        state[POSITIONS], square.stride_frames, embedding.stride_frames
    )
    state = to_full_frequency(state, embedding, size, square.stride_bins)
    new.load_state_dict(state)
    return new


def change_stride(table, stride, new_stride):
    """Interpolates positions ``[F', T', D]`` to another stride in time."""
    if stride == new_stride:
        return table
    columns = max(round(table.shape[1] * stride / new_stride), 1)
    resized = torch.nn.functional.interpolate(
        table.transpose(1, 2), columns, mode="linear"
    )
    return resized.transpose(1, 2)


def to_full_frequency(state, embedding, size, stride_bins):
    """Converts the state dict of an encoder with square patches for FFTP.

    Square patches have ``size`` frames and bins, and start every
    ``stride_bins``. They are centred in longer full-frequency patches; shorter
    full-frequency patches are assumed to repeat their first and last frame.
    Position embeddings keep the time patches of the square patches.
    """
    table = state[POSITIONS]
    square = state[PATCHES].unflatten(1, size)  # [D, frames, bins]
    frames, bins = size
    patch_frames = embedding.patch_frames
    indices = (patch_frames - frames) // 2 + torch.arange(frames)
    indices = indices.clamp(0, patch_frames - 1)
    full = square.new_zeros(len(square), patch_frames, embedding.n_mels)
    for row in range(len(table)):
        bottom = row * stride_bins
        rows = full[:, :, bottom : bottom + bins]
        rows.index_add_(1, indices, square / len(table))
    return {
        **state,
        PATCHES: full.flatten(1),
        POSITIONS: table.mean(0, keepdim=True),
    }
