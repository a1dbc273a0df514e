"""Tests that full-frequency patches take over square ones.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet.patching import FFTPEmbedding, SquarePatchEmbedding
from speechbrain_fftp.pretrained import square_to_fftp

FEATS = torch.randn(2, 120, 64, generator=torch.Generator().manual_seed(0))


def make(patch_size=16, stride=10, cls=AST, **options):
    """An encoder with square patches of 64 mel bins."""
    torch.manual_seed(0)
    embedding = SquarePatchEmbedding(64, 32, patch_size, stride)
    torch.nn.init.normal_(embedding.proj.bias)
    if cls is AST:
        options["num_heads"] = 2
    return cls(64, 32, 2, embedding=embedding, max_frames=120, **options).eval()


def columns(encoder, feats=FEATS):
    """The square tokens of some features ``[B, F', T', D]``."""
    tokens = encoder.embedding(feats)
    return tokens.unflatten(1, (encoder.embedding.freq_patches, -1))


@pytest.mark.parametrize("cls", [AST, AuM])
@pytest.mark.parametrize("patch_size, stride", [(16, 10), (16, 16), (8, 3)])
def test_tokens_are_means_of_columns(cls, patch_size, stride):
    square = make(patch_size, stride, cls)
    embedding = FFTPEmbedding(64, 32, patch_size, stride)
    fftp = square_to_fftp(square, embedding)
    expected = columns(square).mean(1)
    torch.testing.assert_close(fftp.embedding(FEATS), expected)
    table = square.position.table.mean(0, keepdim=True)
    torch.testing.assert_close(fftp.position.table, table)


def test_long_tokens_are_means_of_the_square_tokens_within():
    square = make(16, 10)
    fftp = square_to_fftp(square, FFTPEmbedding(64, 32, 40, 20))
    # 36 of the 40 frames hold three columns: they start at 2, 12 and 22.
    for token in range(fftp.embedding.time_patches(120)):
        start = 20 * token + 2
        within = columns(square, FEATS[:, start : start + 36])
        assert within.shape[2] == 3
        found = fftp.embedding(FEATS)[:, token]
        torch.testing.assert_close(found, within.mean((1, 2)))


@pytest.mark.parametrize("frames", [1, 5, 10, 15])
def test_short_tokens_see_their_edges_repeated(frames):
    square = make(16, 16)
    fftp = square_to_fftp(square, FFTPEmbedding(64, 32, frames, frames))
    clip = FEATS[:, :frames]
    before = (16 - frames) // 2
    after = 16 - frames - before
    parts = [clip[:, :1]] * before + [clip] + [clip[:, -1:]] * after
    expected = columns(square, torch.cat(parts, 1))[:, :, 0].mean(1)
    torch.testing.assert_close(fftp.embedding(clip)[:, 0], expected)


def test_everything_else_is_kept_and_the_encoder_unchanged():
    square = make(dropout=0.25, mlp_ratio=2.0).train()
    before = {k: v.clone() for k, v in square.state_dict().items()}
    fftp = square_to_fftp(square, FFTPEmbedding(64, 32, 10, 5))
    assert fftp.training and fftp.dropout == 0.25 and fftp.mlp_ratio == 2.0
    for name, value in fftp.state_dict().items():
        if not name.startswith(("embedding.", "position.")):
            assert torch.equal(value, before[name])
    fftp.cls_tokens.data.zero_()
    for name, value in square.state_dict().items():
        assert torch.equal(value, before[name])


def test_what_cannot_be_converted_is_refused():
    embedding = FFTPEmbedding(64, 32, 16, 10)
    fftp = square_to_fftp(make(), embedding)
    with pytest.raises(ValueError, match="FFTPEmbedding into FFTPEmb"):
        square_to_fftp(fftp, embedding)
    with pytest.raises(ValueError, match="into SquarePatchEmbedding"):
        square_to_fftp(make(), SquarePatchEmbedding(64, 32))
    with pytest.raises(ValueError, match="of a single layer"):
        square_to_fftp(make(), FFTPEmbedding(64, 32, 17, 10, stem_channels=4))
    with pytest.raises(ValueError, match="n_mels=40"):
        square_to_fftp(make(), FFTPEmbedding(40, 32))
    with pytest.raises(ValueError, match="longer than"):
        square_to_fftp(make(), FFTPEmbedding(64, 32, 121))
