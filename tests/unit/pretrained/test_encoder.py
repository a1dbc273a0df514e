"""Tests of the encoder of CED, ATST-Frame and Dasheng in training.

That it equals the references without training is in test_goldens.py.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from speechbrain_fftp.nnet.patching import FFTPEmbedding, SquarePatchEmbedding
from speechbrain_fftp.pretrained.encoder import ChunkedTransformer


@pytest.mark.parametrize(
    "pooling, embedding",
    [
        ("mean", FFTPEmbedding(32, 24, 4, 4)),
        ("chunks", SquarePatchEmbedding(32, 24, 16, 16)),
    ],
)
def test_statistics_of_bins_are_those_of_the_clips(pooling, embedding):
    """And by them the clips are normalised, whatever pads them."""
    torch.manual_seed(3)
    encoder, frozen = (
        ChunkedTransformer(
            n_mels=32,
            embed_dim=24,
            depth=2,
            num_heads=3,
            embedding=embedding,
            max_frames=84,
            pooling=pooling,
            has_bin_norm=True,
        )
        for _ in range(2)
    )
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    frozen.load_state_dict(encoder.state_dict())
    clips = [5 + 3 * torch.randn(frames, 32) for frames in (60, 20, 37)]
    feats = torch.full((3, 80, 32), 1e6)
    for row, clip in zip(feats, clips):
        row[: len(clip)] = clip
    both = torch.cat(clips)
    norm = torch.nn.BatchNorm1d(32)
    norm.load_state_dict(encoder.bin_norm.state_dict())
    norm(both)
    found = encoder(feats, torch.tensor([60, 20, 37]) / 80)
    torch.testing.assert_close(encoder.bin_norm.state_dict(), norm.state_dict())
    frozen.bin_norm.running_mean = both.mean(0)
    frozen.bin_norm.running_var = both.var(0, unbiased=False)
    for row, clip in zip(found, clips):
        expected = frozen.eval()(clip[None])
        torch.testing.assert_close(row, expected[0], rtol=1e-4, atol=1e-4)
