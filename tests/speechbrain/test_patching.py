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
    # A clip that is shorter than a patch is padded to one
    feats[:, 3:] = 0
    short, padded = (embedding(feats[:, :n]) for n in (3, patch[0]))
    torch.testing.assert_close(short, padded)


def test_sizes_that_do_not_fit_are_errors():
    from speechbrain.nnet.patching import FFTPEmbedding, PatchEmbedding

    with pytest.raises(ValueError, match="n_mels"):
        FFTPEmbedding(16, 8)(torch.rand(2, 30, 17))
    for patch, stride, named in (
        ((4, 17), (4, 4), "taller"),
        ((0, 4), (4, 4), "patch_frames"),
        ((4, 4), (4, 0), "0 bins"),
    ):
        with pytest.raises(ValueError, match=named):
            PatchEmbedding(16, 8, patch, stride)


def make_ramps(time_patches):
    """Positions that are linear along time, of two rows and of no batch."""
    from speechbrain.nnet.position import PositionEmbedding

    position = PositionEmbedding(2, time_patches, 4)
    columns = torch.arange(time_patches) / max(time_patches - 1, 1)
    position.table.data = ramps(columns)
    return position


def ramps(columns):
    """Positions ``[2, T, 4]`` at columns ``[T]`` in 0..1."""
    slopes = torch.tensor([[3.0, -1.0, 2.0, 0.5], [1.0, 4.0, -2.0, 0.0]])
    return slopes[:, None] * columns[:, None] + torch.tensor([5.0, 0, 0, 1])


@pytest.mark.parametrize("known", [1, 2, 20])
def test_positions_of_long_clips_are_stretched(device, known):
    """Over their own length, not that of the batch; others are the first."""
    position = make_ramps(known).to(device)
    counts = [2 * known + 1, known + 1, known, 1]
    found = position(counts[0], torch.tensor(counts, device=device))
    for clip, count in zip(found.cpu(), counts):
        columns = torch.arange(count) / max(count - 1, known - 1, 1)
        if known == 1:
            columns = torch.zeros(count)
        clip = clip.unflatten(0, (2, counts[0]))[:, :count]
        torch.testing.assert_close(clip, ramps(columns))
    torch.testing.assert_close(position(counts[0])[0], found[0])
    torch.testing.assert_close(position(1)[0], position.table[:, 0])


def test_saved_positions_are_fitted_to_the_clip_length():
    saved = make_ramps(20)
    shorter, longer = make_ramps(7), make_ramps(60)
    for position in (shorter, longer):
        position.load_state_dict(saved.state_dict())
    shorter.load_state_dict({}, strict=False)  # keeps the table
    assert torch.equal(shorter.table, saved.table[:, :7])
    # At the centres of the new columns
    columns = ((torch.arange(60) + 0.5) / 3 - 0.5).clamp(0, 19) / 19
    torch.testing.assert_close(longer.table.data, ramps(columns))
