"""Tests of patch embeddings and positions.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch


@pytest.mark.parametrize(
    "patch, stride",
    [
        ((7, 16), (7, 16)),
        ((7, 16), (3, 16)),
        ((7, 7), (4, 4)),
        ((5, 8), (6, 3)),
    ],
    ids=["FFTP", "overlapping FFTP", "square", "neither"],
)
def test_tokens_are_those_of_a_convolution(device, patch, stride):
    from speechbrain.nnet.patching import (
        FFTPEmbedding,
        PatchEmbedding,
        SquarePatchEmbedding,
    )

    if patch[1] == 16:
        embedding = FFTPEmbedding(16, 8, patch[0], stride[0])
    elif patch[0] == patch[1]:
        embedding = SquarePatchEmbedding(16, 8, patch[0], stride[0])
    else:
        embedding = PatchEmbedding(16, 8, patch, stride)
    embedding = embedding.to(device)
    torch.nn.init.normal_(embedding.proj.bias)
    feats = torch.rand(2, 50, 16, device=device)
    tokens = embedding(feats)
    assert tokens.shape[1] == embedding.num_patches(50)
    # [D, frames * bins] -> [D, 1, frames, bins]
    kernels = embedding.proj.weight.unflatten(1, patch).unsqueeze(1)
    # [B, T, F] -> [B, D, T', F'] -> [B, D, F', T'] -> [B, F' * T', D]
    maps = torch.nn.functional.conv2d(
        feats.unsqueeze(1), kernels, embedding.proj.bias, stride
    )
    expected = maps.transpose(2, 3).flatten(2).transpose(1, 2)
    torch.testing.assert_close(tokens, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "patch, stride, expected", [(10, 1, 991), (25, 5, 196), (50, 10, 96)]
)
def test_numbers_of_patches_are_those_of_the_paper(patch, stride, expected):
    from speechbrain.nnet.patching import FFTPEmbedding

    assert FFTPEmbedding(128, 8, patch, stride).num_patches(1000) == expected


def test_short_clips_are_padded_to_a_patch(device):
    from speechbrain.nnet.patching import FFTPEmbedding

    embedding = FFTPEmbedding(16, 8, patch_frames=10).to(device)
    feats = torch.rand(1, 4, 16, device=device)
    padded = torch.nn.functional.pad(feats, (0, 0, 0, 6))
    torch.testing.assert_close(embedding(feats), embedding(padded))


def test_features_of_another_size_are_an_error():
    from speechbrain.nnet.patching import FFTPEmbedding, PatchEmbedding

    with pytest.raises(ValueError, match="n_mels"):
        FFTPEmbedding(16, 8)(torch.rand(2, 30, 17))
    with pytest.raises(ValueError, match="taller"):
        PatchEmbedding(16, 8, patch=(4, 17), stride=(4, 4))


def test_positions_of_long_and_short_clips(device):
    from speechbrain.nnet.position import PositionEmbedding

    position = PositionEmbedding(2, 20, 4).to(device)
    rows = position.table.detach()
    short = position(7)
    torch.testing.assert_close(short[0], rows[:, :7].flatten(0, 1))
    # A longer clip stretches the table over its own length, not its batch's
    counts = torch.tensor([39, 20], device=device)
    both = position(39, counts).unflatten(1, (2, 39))
    torch.testing.assert_close(both[0, :, ::2], rows)
    torch.testing.assert_close(both[1, :, :20], rows)


def test_positions_of_another_length_are_interpolated_when_loaded(device):
    from speechbrain.nnet.position import PositionEmbedding

    position = PositionEmbedding(1, 20, 4).to(device)
    other = PositionEmbedding(1, 11, 4).to(device)
    other.load_state_dict(position.state_dict())
    expected = torch.nn.functional.interpolate(
        position.table.transpose(1, 2), size=11, mode="linear"
    )
    torch.testing.assert_close(other.table, expected.transpose(1, 2))
