"""Tests of one model for several strides.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet.patching import FFTPEmbedding

STRIDES = [2, 5, 9]
LENGTHS = torch.tensor([1.0, 0.4])


def make(kind, stride, strides=None):
    """An encoder for up to 60 frames whose positions are not small."""
    torch.manual_seed(1)
    embedding = FFTPEmbedding(16, 24, 10, stride, strides)
    sizes = {"n_mels": 16, "embed_dim": 24, "depth": 2, "max_frames": 60}
    more = {"num_heads": 3} if kind is AST else {}
    encoder = kind(embedding=embedding, **sizes, **more)
    torch.nn.init.normal_(encoder.position.table, std=0.5)
    return encoder


def set_stride(encoder, stride):
    """Changes the stride of an encoder, and its positions with it."""
    embedding = encoder.embedding
    embedding.check_stride(stride)
    embedding.stride_frames = stride
    encoder.position.resize(embedding.time_patches(encoder.max_frames))


@pytest.mark.parametrize("kind", [AST, AuM])
def test_training_draws_strides_as_models_made_for_them(kind):
    encoder = make(kind, 5, STRIDES)
    feats = torch.randn(2, 60, 16)
    expected = {}
    for stride in STRIDES:
        other = make(kind, stride)
        other.load_state_dict(encoder.state_dict())
        expected[stride] = other(feats, LENGTHS)
    counts = dict.fromkeys(STRIDES, 0)
    for _ in range(90):
        out = encoder(feats, LENGTHS)
        for stride in STRIDES:
            if torch.allclose(out, expected[stride], atol=1e-5):
                counts[stride] += 1
    assert sum(counts.values()) == 90 and min(counts.values()) > 15
    out = encoder.eval()(feats, LENGTHS)
    torch.testing.assert_close(out, expected[5])
    assert encoder.embedding.num_patches(60) == 11


@pytest.mark.parametrize("kind", [AST, AuM])
def test_another_stride_is_that_of_a_model_made_for_it(kind):
    feats = torch.randn(2, 75, 16)  # longer than the table, too
    for stride in (1, 7, 12):
        encoder, other = make(kind, 5).eval(), make(kind, stride).eval()
        other.load_state_dict(encoder.state_dict())
        set_stride(encoder, stride)
        assert torch.equal(encoder(feats, LENGTHS), other(feats, LENGTHS))


def test_positions_learn_from_every_stride():
    encoder = make(AST, 5, STRIDES)
    for stride in STRIDES:
        encoder.embedding.stride_frames = stride
        encoder.zero_grad()
        out = encoder.eval()(torch.randn(1, 60, 16))
        (out * torch.randn_like(out)).sum().backward()
        assert encoder.position.table.grad.any()


@pytest.mark.parametrize("strides", [[], [5, 0], 5, "5", [10, 20]])
def test_impossible_strides_are_an_error(strides):
    """A stride that is not trained cannot be that of the evaluation."""
    with pytest.raises(ValueError, match="must be a list of positive numbers"):
        FFTPEmbedding(16, 24, 10, 5, strides)


def test_strides_that_an_embedding_cannot_have():
    with pytest.raises(ValueError, match="must be positive, not 0"):
        FFTPEmbedding(16, 24, 10, 5).check_stride(0)
    with pytest.raises(ValueError, match="must be even, not 3"):
        FFTPEmbedding(16, 24, 9, 4, stem_channels=4).check_stride(3)
