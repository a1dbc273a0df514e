"""Tests of patch embeddings and positions.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch


@pytest.mark.parametrize("name", ["FFTP", "square", "neither"])
def test_tokens_are_those_of_a_convolution(device, name):
    from speechbrain.nnet import patching

    embedding = {
        "FFTP": patching.FFTPEmbedding(16, 8, 7, 3),
        "square": patching.SquarePatchEmbedding(16, 8, 7, 4),
        "neither": patching.PatchEmbedding(16, 8, (5, 8), (6, 3)),
    }[name].to(device)
    patch = embedding.patch_frames, embedding.patch_bins
    stride = embedding.stride_frames, embedding.stride_bins
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


@pytest.mark.parametrize("patch", [(16, 16), (25, 128)])
def test_initial_weights_are_distributed_as_those_of_a_convolution(patch):
    """That of AST from scratch, which PyTorch initialises."""
    from speechbrain.nnet.patching import PatchEmbedding

    torch.manual_seed(0)
    embedding = PatchEmbedding(128, 256, patch, patch)
    conv = torch.nn.Conv2d(1, 256, patch)
    quantiles = torch.linspace(0, 1, 21)
    for found, expected in (
        (embedding.proj.weight[:64], conv.weight[:64]),
        (embedding.proj.bias, conv.bias),
    ):
        found, expected = (x.flatten()[:50000] for x in (found, expected))
        distances = found.quantile(quantiles) - expected.quantile(quantiles)
        assert distances.abs().max() < 0.2 * expected.std()


def test_features_of_another_size_are_an_error():
    from speechbrain.nnet.patching import FFTPEmbedding, PatchEmbedding

    with pytest.raises(ValueError, match="n_mels"):
        FFTPEmbedding(16, 8)(torch.rand(2, 30, 17))
    with pytest.raises(ValueError, match="taller"):
        PatchEmbedding(16, 8, patch=(4, 17), stride=(4, 4))
    with pytest.raises(ValueError, match="patch_frames"):
        FFTPEmbedding(16, 8, patch_frames=0)


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


def test_saved_positions_are_fitted_to_the_clip_length():
    from speechbrain.nnet.position import PositionEmbedding

    saved = PositionEmbedding(2, 20, 4)
    shorter, longer = PositionEmbedding(2, 7, 4), PositionEmbedding(2, 60, 4)
    for position in (shorter, longer):
        position.load_state_dict(saved.state_dict())
    assert torch.equal(shorter.table, saved.table[:, :7])
    torch.testing.assert_close(longer.table[:, 1::3], saved.table)
