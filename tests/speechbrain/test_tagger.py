"""Tests of the path from waveforms to logits.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch


@pytest.mark.parametrize("samples", [100, 9000, 16000])
def test_logits_are_those_of_the_modules_and_of_no_padding(device, samples):
    from speechbrain.lobes.features import DatasetNormalization, KaldiFbank
    from speechbrain.lobes.models.AST import AST
    from speechbrain.lobes.tagger import classify, extract_features

    encoder = AST(n_mels=40, embed_dim=32, depth=2, num_heads=2, max_frames=200)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    modules = {
        "compute_features": KaldiFbank(n_mels=40),
        "mean_var_norm": DatasetNormalization(-4, 4),
        "embedding_model": encoder,
        "classifier": torch.nn.Linear(32, 3),
    }
    modules = torch.nn.ModuleDict(modules).to(device).eval()
    wavs = torch.randn(2, 16000, device=device)
    lens = torch.tensor([1.0, samples / 16000], device=device)
    feats = (modules["compute_features"](wavs[1:, :samples]) + 4) / 8
    expected = modules["classifier"](encoder(feats))[:, 0]
    embeddings = encoder(*extract_features(modules, wavs, lens))
    found = classify(modules["classifier"], embeddings)
    torch.testing.assert_close(found[1:], expected, atol=1e-4, rtol=1e-4)


def test_front_end_of_speechbrain_has_the_lengths_of_waveforms(device):
    from speechbrain.lobes.features import Fbank
    from speechbrain.lobes.tagger import filterbanks

    compute_features = Fbank(n_mels=40).to(device)
    wavs = torch.randn(2, 16000, device=device)
    lens = torch.tensor([1.0, 0.5], device=device)
    feats, feat_lens = filterbanks(compute_features, wavs, lens)
    assert torch.equal(feat_lens, lens)
    # Its frames are centred: the last ones of a clip reach into its padding
    alone = compute_features(wavs[1:, :8000])
    torch.testing.assert_close(feats[1:, :49], alone[:, :49])


def test_logits_are_in_float32_under_autocast():
    """Near -7, bfloat16 has steps of 1/32."""
    from speechbrain.lobes.tagger import classify

    torch.manual_seed(0)
    classifier = torch.nn.Sequential(torch.nn.Linear(48, 5))
    torch.nn.init.constant_(classifier[0].bias, -7.0)
    embeddings = torch.randn(8, 1, 48)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = classify(classifier, embeddings.bfloat16())
    expected = classifier(embeddings.bfloat16().float())[:, 0]
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-6)
