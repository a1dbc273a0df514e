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


def make_square(cls=AST, patch_size=16, stride=10, **options):
    """An encoder with square patches of 64 mel bins."""
    torch.manual_seed(0)
    embedding = SquarePatchEmbedding(64, 32, patch_size, stride)
    torch.nn.init.normal_(embedding.proj.bias)
    if cls is AST:
        options["num_heads"] = 2
    return cls(64, 32, 2, embedding=embedding, max_frames=120, **options)


def columns(encoder, feats=FEATS):
    """The square tokens of some features ``[B, F', T', D]``."""
    tokens = encoder.embedding(feats)
    return tokens.unflatten(1, (encoder.embedding.freq_patches, -1))


@pytest.mark.parametrize("cls", [AST, AuM])
@pytest.mark.parametrize("patch_size, stride", [(16, 10), (16, 16), (8, 3)])
def test_tokens_are_means_of_columns(cls, patch_size, stride):
    square = make_square(cls, patch_size, stride)
    embedding = FFTPEmbedding(64, 32, patch_size, stride)
    fftp = square_to_fftp(square, embedding)
    expected = columns(square).mean(1)
    torch.testing.assert_close(fftp.embedding(FEATS), expected)
    table = square.position.table.mean(0, keepdim=True)
    torch.testing.assert_close(fftp.position.table, table)


def test_the_column_is_in_the_middle_of_a_longer_patch():
    square = make_square()
    fftp = square_to_fftp(square, FFTPEmbedding(64, 32, 25, 5))
    expected = columns(square, FEATS[:, 4:20]).mean(1)
    torch.testing.assert_close(fftp.embedding(FEATS)[:, :1], expected)


@pytest.mark.parametrize("frames", [1, 5, 10, 15])
def test_short_tokens_see_their_edges_repeated(frames):
    square = make_square(stride=16)
    fftp = square_to_fftp(square, FFTPEmbedding(64, 32, frames, frames))
    clip = FEATS[:, :frames]
    after = (16 - frames) // 2
    before = 16 - frames - after
    parts = [clip[:, :1]] * before + [clip] + [clip[:, -1:]] * after
    expected = columns(square, torch.cat(parts, 1)).mean(1)
    torch.testing.assert_close(fftp.embedding(clip), expected)


def test_everything_else_is_kept_and_the_encoder_unchanged():
    square = make_square(dropout=0.25, mlp_ratio=2.0)
    before = {k: v.clone() for k, v in square.state_dict().items()}
    fftp = square_to_fftp(square, FFTPEmbedding(64, 32, 10, 5))
    for name, value in fftp.state_dict().items():
        if not name.startswith(("embedding.", "position.")):
            assert torch.equal(value, before[name])
    fftp.cls_tokens.data.zero_()
    for name, value in square.state_dict().items():
        assert torch.equal(value, before[name])
