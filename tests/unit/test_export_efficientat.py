"""Tests of the export of EfficientAT's models.

Authors
 * The speechbrain_fftp authors 2026
"""

import sys

import export_efficientat
import numpy as np
import pytest
import torch
from torchaudio.compliance.kaldi import get_mel_banks

from fftp_tag import AudioTagger

MODEL = """
import torch

def get_model(width_mult, pretrained_name):
    assert (width_mult, pretrained_name) == (0.4, "mn04_as")
    torch.manual_seed(0)
    model = torch.nn.Module()
    model.features = torch.nn.Conv2d(1, 8, 16, 16)
    pooling = [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()]
    model.classifier = torch.nn.Sequential(*pooling, torch.nn.Linear(8, 2))
    return model
"""


def power_of(wavs):
    """The power spectrum of EfficientAT, by torch's transform."""
    wavs = wavs[:, 1:] - 0.97 * wavs[:, :-1]
    window = torch.hann_window(800, periodic=False)
    spectrum = torch.stft(
        wavs, 1024, 320, 800, window=window, return_complex=True
    )
    return spectrum.abs().square()


def test_features_are_those_of_a_fourier_transform():
    wavs = 0.1 * torch.randn(2, 32100, generator=torch.manual_seed(0))
    mel, _ = get_mel_banks(128, 1024, 32000, 0, 15000, 100, -500, 1)
    bands = torch.nn.functional.pad(mel, (0, 1)) @ power_of(wavs)
    expected = ((bands + 1e-5).log() + 4.5) / 5
    found = export_efficientat.LogMel()(wavs).squeeze(1)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_what_is_written_tags_as_the_module_does(tmp_path, monkeypatch):
    """With a checkout whose model is small."""
    pytest.importorskip("onnxscript")
    checkout = tmp_path / "checkout"
    for name, text in {
        "models/mn/model.py": MODEL,
        "helpers/utils.py": "NAME_TO_WIDTH = {'mn04_as': 0.4}.get",
        "metadata/class_labels_indices.csv": (
            'index,mid,display_name\n0,/m/1,"Purr, meow"\n1,/m/2,Bark\n'
        ),
    }.items():
        path = checkout / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    out = tmp_path / "mn04_as.onnx"
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(checkout))
    words = ["", "checkout", "mn04_as", "mn04_as.onnx"]
    monkeypatch.setattr(sys, "argv", words)
    export_efficientat.main()

    wav = 0.1 * np.random.default_rng(0).standard_normal(48000)
    tagger = AudioTagger.from_pretrained(out)
    found = tagger.tag_file(wav, sample_rate=32000, top_k=2, threshold=0)
    from models.mn.model import get_model

    model = get_model(0.4, "mn04_as")
    with torch.no_grad():
        feats = export_efficientat.LogMel()(torch.tensor(wav[None]).float())
        probs = model.classifier(model.features(feats)).sigmoid()[0]
    assert {tag.label: tag.probability for tag in found} == pytest.approx(
        {"Purr, meow": probs[0].item(), "Bark": probs[1].item()}, abs=1e-5
    )
