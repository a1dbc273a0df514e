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
def test_padding_has_no_part_in_the_statistics_of_bins(pooling, embedding):
    """Clips are normalised by their own frames, as by a BatchNorm1d."""
    torch.manual_seed(3)
    encoder = ChunkedTransformer(
        32, 24, 1, 3, embedding, 84, pooling=pooling, has_bin_norm=True
    )
    clips = [5 + 3 * torch.randn(frames, 32) for frames in (60, 20, 37)]
    norm = torch.nn.BatchNorm1d(32)
    normalised = norm(torch.cat(clips)).split([60, 20, 37])
    feats = torch.nn.utils.rnn.pad_sequence(clips, True, 1e6)
    found = encoder(feats, torch.tensor([60, 20, 37]) / 60)
    torch.testing.assert_close(encoder.bin_norm.state_dict(), norm.state_dict())
    encoder.bin_norm = None
    for row, clip in zip(found, normalised):
        expected = encoder(clip[None])[0]
        torch.testing.assert_close(row, expected, rtol=1e-4, atol=1e-4)
