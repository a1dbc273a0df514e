"""Tests of the path from waveforms to logits.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from speechbrain.lobes.features import Fbank
from speechbrain.processing.features import InputNormalization
from speechbrain_fftp.lobes.features import DatasetNormalization, KaldiFbank
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.tagger import Tagger


def make_tagger(features, normalizer):
    torch.manual_seed(0)
    encoder = AST(n_mels=40, embed_dim=32, depth=2, num_heads=2, max_frames=200)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return Tagger(features, normalizer, encoder, torch.nn.Linear(32, 3)).eval()


def test_logits_are_those_of_the_four_steps_by_hand():
    tagger = make_tagger(KaldiFbank(n_mels=40), DatasetNormalization(-4, 4))
    wavs = torch.randn(2, 16000)
    feats = (tagger.compute_features(wavs) + 4) / 8
    by_hand = tagger.classifier(tagger.embedding_model(feats))[:, 0]
    torch.testing.assert_close(tagger(wavs), by_hand)


@pytest.mark.parametrize("samples", [100, 9000])
def test_padding_of_any_content_has_no_influence(samples):
    tagger = make_tagger(KaldiFbank(n_mels=40), DatasetNormalization(-4, 4))
    wavs = torch.randn(2, 16000)
    lens = torch.tensor([1.0, samples / 16000])
    alone = tagger(wavs[1:, :samples])
    torch.testing.assert_close(
        tagger(wavs, lens)[1:], alone, atol=1e-5, rtol=1e-4
    )


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
