"""Tests of the path from waveforms to logits.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch


def make_tagger(device):
    """A small tagger with random weights."""
    from speechbrain.lobes.features import DatasetNormalization, KaldiFbank
    from speechbrain.lobes.models.AST import AST
    from speechbrain.lobes.tagger import Tagger

    torch.manual_seed(0)
    encoder = AST(n_mels=40, embed_dim=32, depth=2, num_heads=2, max_frames=200)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    tagger = Tagger(
        compute_features=KaldiFbank(n_mels=40),
        mean_var_norm=DatasetNormalization(-4, 4),
        embedding_model=encoder,
        classifier=torch.nn.Linear(32, 3),
    )
    return tagger.eval().to(device)


def test_logits_are_those_of_the_four_steps_by_hand(device):
    tagger = make_tagger(device)
    wavs = torch.randn(2, 16000, device=device)
    feats = (tagger.compute_features(wavs) + 4) / 8
    by_hand = tagger.classifier(tagger.embedding_model(feats))[:, 0]
    torch.testing.assert_close(tagger(wavs), by_hand)


@pytest.mark.parametrize("samples", [100, 9000])
def test_padding_of_any_content_has_no_influence(device, samples):
    tagger = make_tagger(device)
    wavs = torch.randn(2, 16000, device=device)
    lens = torch.tensor([1.0, samples / 16000], device=device)
    alone = tagger(wavs[1:, :samples])
    torch.testing.assert_close(
        tagger(wavs, lens)[1:], alone, atol=1e-4, rtol=1e-4
    )


def test_front_end_of_speechbrain_has_the_lengths_of_waveforms(device):
    from speechbrain.lobes.features import Fbank
    from speechbrain.lobes.tagger import Tagger

    tagger = make_tagger(device)
    tagger = Tagger(
        compute_features=Fbank(n_mels=40).to(device),
        mean_var_norm=tagger.mean_var_norm,
        embedding_model=tagger.embedding_model,
        classifier=tagger.classifier,
    )
    wavs = torch.randn(2, 16000, device=device)
    lens = torch.tensor([1.0, 0.5], device=device)
    feats, feat_lens = tagger.features(wavs, lens)
    assert torch.equal(feat_lens, lens)
    # Its frames are centred: the last ones of a clip reach into its padding
    alone, _ = tagger.features(wavs[1:, :8000], torch.ones(1, device=device))
    torch.testing.assert_close(feats[1:, :49], alone[:, :49])


def test_logits_are_in_float32_under_autocast():
    """Near -7, bfloat16 has steps of 1/32."""
    from speechbrain_fftp.lobes.tagger import Tagger

    torch.manual_seed(0)
    classifier = torch.nn.Linear(48, 5)
    torch.nn.init.constant_(classifier.bias, -7.0)
    nothing = torch.nn.Identity()
    tagger = Tagger(nothing, nothing, nothing, classifier)
    embeddings = torch.randn(8, 1, 48)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = tagger.classify(embeddings.bfloat16())
    expected = classifier(embeddings.bfloat16().float())[:, 0]
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-6)
    assert (logits - logits.bfloat16()).abs().max() > 1e-3
