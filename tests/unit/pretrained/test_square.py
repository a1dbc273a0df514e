"""Tests that full-frequency patches take over square ones.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet.patching import FFTPEmbedding, SquarePatchEmbedding
from speechbrain_fftp.pretrained import square_to_fftp

FEATS = torch.randn(2, 120, 64, generator=torch.Generator().manual_seed(0))


def make_square(patch_size, stride):
    """An encoder with square patches of 64 mel bins."""
    torch.manual_seed(0)
    embedding = SquarePatchEmbedding(64, 32, patch_size, stride)
    encoder = AuM(64, 32, 2, embedding=embedding, max_frames=120)
    torch.nn.init.normal_(embedding.proj.bias)
    return encoder


def columns(encoder, feats):
    """The means over the rows of square tokens ``[B, T', D]``."""
    tokens = encoder.embedding(feats)
    return tokens.unflatten(1, (encoder.embedding.freq_patches, -1)).mean(1)


@pytest.mark.parametrize("patch_size, stride", [(16, 10), (16, 16), (8, 3)])
def test_tokens_are_means_of_columns(patch_size, stride):
    """All else is that of the square encoder, which does not change."""
    square = make_square(patch_size, stride)
    before = {k: v.clone() for k, v in square.state_dict().items()}
    embedding = FFTPEmbedding(64, 32, patch_size, stride)
    fftp = square_to_fftp(square, embedding)
    torch.testing.assert_close(fftp.embedding(FEATS), columns(square, FEATS))
    state = fftp.state_dict()
    for name, tensor in before.items():
        if name == "position.table":
            tensor = tensor.mean(0, keepdim=True)
        if not name.startswith("embedding."):
            assert torch.equal(state[name], tensor)
        state[name].zero_()
    torch.testing.assert_close(square.state_dict(), before)


@pytest.mark.parametrize("frames", [1, 5, 15, 25])
def test_patches_of_other_lengths(frames):
    """A longer one has the column in its middle, a shorter one repeats edges."""
    square = make_square(16, 16)
    fftp = square_to_fftp(square, FFTPEmbedding(64, 32, frames, frames))
    clip = FEATS[:, :frames]
    indices = torch.arange(16) + (frames - 16) // 2
    column = clip[:, indices.clamp(0, frames - 1)]
    torch.testing.assert_close(fftp.embedding(clip), columns(square, column))
