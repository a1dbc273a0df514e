"""Tests of the encoder of ATST-Frame and Dasheng.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from speechbrain_fftp.lobes.models.ATST import ATST
from speechbrain_fftp.nnet.patching import FFTPEmbedding


def make_encoder(stride=4, max_frames=84, **options):
    """An encoder whose weights and statistics are not small."""
    torch.manual_seed(3)
    embedding = FFTPEmbedding(32, 24, 4, stride)
    encoder = ATST(
        32, 24, 2, 3, embedding, max_frames, has_bin_norm=True, **options
    ).eval()
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    encoder.bin_norm.weight.data += 1.0
    torch.nn.init.normal_(encoder.bin_norm.running_mean)
    torch.nn.init.uniform_(encoder.bin_norm.running_var, 0.5, 2.0)
    return encoder


def fill(encoder, feats, frames):
    """Features whose last frames, once normalised, are zeros."""
    norm = encoder.bin_norm
    deviation = torch.sqrt(norm.running_var + norm.eps)
    zero = norm.running_mean - norm.bias / norm.weight * deviation
    missing = frames - feats.shape[1]
    return torch.cat([feats, zero.expand(len(feats), missing, -1)], 1)


@pytest.mark.parametrize("frames", [85, 87, 88, 168, 169, 233, 252])
@torch.no_grad()
def test_long_clips_are_chunks_filled_with_zeros(frames):
    """Frames that do not fill a patch are attended to but have no token."""
    encoder = make_encoder()
    feats = torch.randn(2, frames, 32)
    filled = fill(encoder, feats, -(-frames // 84) * 84)
    chunks = [encoder(chunk) for chunk in filled.split(84, 1)]
    expected = torch.cat(chunks, 1)[:, : frames // 4]
    found = encoder(feats)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    padded = torch.cat([feats, torch.full((2, 100, 32), torch.nan)], 1)
    lens = torch.full((2,), frames / padded.shape[1])
    torch.testing.assert_close(encoder(padded, lens), found)


@torch.no_grad()
def test_a_clip_with_frames_left_over_is_one_chunk():
    encoder = make_encoder(max_frames=87)
    feats = torch.randn(2, 87, 32)
    assert encoder(feats).shape == (2, 21, 24)
    torch.testing.assert_close(encoder(feats), encoder(feats[:, :84]))


@torch.no_grad()
def test_chunks_of_overlapping_patches():
    """The last patches of a chunk reach into the next one."""
    encoder = make_encoder(stride=2)
    size = encoder.embedding.time_patches(84)
    feats = torch.randn(1, 130, 32)
    found = encoder(feats)
    assert found.shape == (1, encoder.embedding.time_patches(130), 24)
    first = encoder(feats[:, :84])
    torch.testing.assert_close(found[:, :size], first, rtol=0, atol=1e-4)
    second = fill(encoder, feats[:, 2 * size :], 84)
    expected = encoder(second)[:, : found.shape[1] - size]
    torch.testing.assert_close(found[:, size:], expected, rtol=0, atol=1e-4)
