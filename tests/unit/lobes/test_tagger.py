"""Tests of the path from waveforms to logits.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from speechbrain.lobes.features import Fbank
from speechbrain.processing.features import InputNormalization
from speechbrain_fftp.lobes.features import DatasetNormalization
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.tagger import Tagger


def make_tagger(features, normalizer):
    torch.manual_seed(0)
    encoder = AST(n_mels=40, embed_dim=32, depth=2, num_heads=2, max_frames=200)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return Tagger(features, normalizer, encoder, torch.nn.Linear(32, 3)).eval()


@pytest.mark.parametrize("norm_type", [None, "sentence"])
def test_front_end_of_speechbrain_works_without_frame_lens(norm_type):
    normalizer = DatasetNormalization(0, 1)
    if norm_type:
        normalizer = InputNormalization(norm_type=norm_type)
    tagger = make_tagger(Fbank(n_mels=40), normalizer)
    wavs, lens = torch.randn(2, 16000), torch.tensor([1.0, 0.5])
    feats, feat_lens = tagger.features(wavs, lens)
    assert torch.equal(feat_lens, lens)
    # Its frames are centred: the last ones of a clip reach into its padding.
    alone = tagger.features(wavs[1:, :8000], torch.ones(1))[0]
    if norm_type is None:
        torch.testing.assert_close(feats[1:, :49], alone[:, :49])
    assert tagger(wavs, lens).isfinite().all()
