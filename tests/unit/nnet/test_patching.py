"""Tests of the patch embeddings; tests/for_speechbrain compares them with formulas.

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
