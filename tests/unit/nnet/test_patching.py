"""Tests of the patch embeddings.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from speechbrain_fftp.nnet.patching import FFTPEmbedding, SquarePatchEmbedding


def randomize(embedding):
    torch.manual_seed(1)
    for parameter in embedding.parameters():
        torch.nn.init.normal_(parameter)
    return embedding


@pytest.mark.parametrize("patch, stride", [(7, 3), (4, 9)])
def test_fftp_equals_unfold_and_matmul(patch, stride):
    embedding = randomize(FFTPEmbedding(16, 8, patch, stride))
    feats = torch.randn(2, 57, 16)
    # [B, T', F, Tp] -> [B, T', F * Tp]
    patches = feats.unfold(1, patch, stride).flatten(2)
    expected = patches @ embedding.proj.weight.flatten(1).T
    expected = expected + embedding.proj.bias
    torch.testing.assert_close(embedding(feats), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("bins", [16, 19])
def test_a_stem_is_two_convolutions_written_out(bins):
    embedding = randomize(FFTPEmbedding(bins, 8, 11, 4, stem_channels=3))
    feats = torch.randn(2, 57, bins)
    maps = feats.transpose(1, 2)[:, None]  # [B, 1, F, T]
    for conv, step in zip(embedding.stem[::2], (2, 1)):
        padded = torch.nn.functional.pad(maps, (0, 0, 1, 1))
        cells = padded.unfold(2, 3, 2).unfold(3, 3, step)
        maps = torch.einsum("bcftij,dcij->bdft", cells, conv.weight)
        maps = (maps + conv.bias[:, None, None]).clamp(min=0)
    # [B, C, F / 4, T'] -> [B, T'', C * F / 4 * 3]: steps of 4 frames are 2 here
    patches = maps.unfold(3, 3, 2).permute(0, 3, 1, 2, 4).flatten(2)
    expected = patches @ embedding.proj.weight.flatten(1).T
    expected = expected + embedding.proj.bias
    torch.testing.assert_close(embedding(feats), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("patch, stride", [(7, 2), (25, 10)])
def test_with_a_stem_a_token_sees_the_frames_of_its_patch(patch, stride):
    embedding = randomize(FFTPEmbedding(16, 8, patch, stride, stem_channels=3))
    feats = torch.randn(1, 60, 16)
    tokens = embedding(feats)[0]
    assert (
        len(tokens) == embedding.num_patches(60) == (60 - patch) // stride + 1
    )
    for number, token in enumerate(tokens):
        start = stride * number
        alone = embedding(feats[:, start : start + patch])
        torch.testing.assert_close(alone[0, 0], token, rtol=1e-4, atol=1e-4)
        changed = feats.clone()  # the first and the last frame matter
        changed[:, [start, start + patch - 1]] += 5.0
        assert not torch.allclose(embedding(changed)[0, number], token)


@pytest.mark.parametrize("patch, stride", [(16, 10), (7, 4)])
def test_square_equals_unfold_and_matmul(patch, stride):
    embedding = randomize(SquarePatchEmbedding(40, 8, patch, stride))
    feats = torch.randn(2, 57, 40)
    # [B, T', F', P (frames), P (bins)] -> [B, F', T', P (bins), P (frames)]
    patches = feats.unfold(1, patch, stride).unfold(2, patch, stride)
    patches = patches.permute(0, 2, 1, 4, 3).flatten(3)
    expected = patches @ embedding.proj.weight.flatten(1).T
    expected = expected + embedding.proj.bias
    torch.testing.assert_close(
        embedding(feats), expected.flatten(1, 2), rtol=0, atol=1e-4
    )


@pytest.mark.parametrize(
    "embedding, frames, expected",
    [
        (SquarePatchEmbedding(128, 2, 16, 10), 1024, 1212),
        (SquarePatchEmbedding(128, 2, 16, 16), 1024, 512),
        (FFTPEmbedding(128, 2, 10, 1), 1000, 991),
        (FFTPEmbedding(128, 2, 50, 10), 1000, 96),
        (FFTPEmbedding(128, 2), 1000, 196),
        (SquarePatchEmbedding(128, 2), 1024, 1212),
        (SquarePatchEmbedding(128, 2, 16, 10), 1, 12),
    ],
)
def test_number_of_patches(embedding, frames, expected):
    assert embedding.num_patches(frames) == expected
    assert embedding(torch.zeros(1, frames, 128)).shape == (1, expected, 2)


@pytest.mark.parametrize(
    "embedding",
    [FFTPEmbedding(16, 4, 10, 3), SquarePatchEmbedding(16, 4, 8, 5)],
)
def test_short_clip_is_padded_with_zeros(embedding):
    randomize(embedding)
    feats = torch.randn(2, 3, 16)
    padded = torch.zeros(2, embedding.patch_frames, 16)
    padded[:, :3] = feats
    torch.testing.assert_close(embedding(feats), embedding(padded))
    assert embedding(feats).shape[1] == embedding.freq_patches


def test_what_does_not_fill_a_patch_has_no_influence():
    embedding = SquarePatchEmbedding(20, 4, 8, 5)  # bins 18 and 19 left out
    feats = torch.randn(1, 32, 20)  # and frames 28 to 31
    changed = feats.clone()
    changed[:, 28:] = 9.0
    changed[:, :, 18:] = 9.0
    assert torch.equal(embedding(feats), embedding(changed))
    changed[:, 27, 17] += 1.0
    assert not torch.equal(embedding(feats), embedding(changed))


def test_initial_weights_are_xavier_uniform_over_the_patch():
    torch.manual_seed(0)
    embedding = FFTPEmbedding(64, 48, 10, 5)
    bound = (6 / (64 * 10 + 48)) ** 0.5
    weight = embedding.proj.weight
    assert 0.99 * bound < weight.abs().max() <= bound
    assert abs(weight.std() / (bound / 3**0.5) - 1) < 0.02
    assert not embedding.proj.bias.any()


@pytest.mark.parametrize(
    "make",
    [
        lambda: FFTPEmbedding(16, 4, 0, 1),
        lambda: FFTPEmbedding(16, 4, 5, 0),
        lambda: SquarePatchEmbedding(16, 4, 17, 1),
        lambda: FFTPEmbedding(16, 4, 10, 2, stem_channels=8),
        lambda: FFTPEmbedding(16, 4, 9, 5, stem_channels=8),
        lambda: FFTPEmbedding(16, 4, 9, 2, strides=[2, 7], stem_channels=8),
    ],
)
def test_construction_errors(make):
    with pytest.raises(ValueError):
        make()


@pytest.mark.parametrize("shape", [(2, 30, 17), (30, 16)])
def test_features_of_another_size_are_an_error(shape):
    with pytest.raises(ValueError):
        FFTPEmbedding(16, 4, 5, 1)(torch.zeros(shape))
