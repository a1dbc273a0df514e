"""Tests of ONNX files of others, against their own front ends and engines.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import torch
from foreign_models import LABELS, write_ast, write_sherpa, write_waveforms

from fftp_tag import AudioTagger

TOLERANCE = 1e-3


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Joined models are in a folder of the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    torch.manual_seed(0)


def sound(n_samples):
    """Noise that comes and goes, with an offset, as float32 ``[S]``."""
    rng = np.random.default_rng(0)
    wav = 0.1 * rng.standard_normal(n_samples) + 0.02
    wav[n_samples // 3 : n_samples // 2] *= 1e-3
    return wav.astype(np.float32)


@pytest.mark.parametrize("kind", ["multi_label", "single_label"])
def test_ast_of_transformers(tmp_path, kind):
    transformers = pytest.importorskip("transformers")
    config = transformers.ASTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        id2label=dict(enumerate(LABELS)),
        problem_type=f"{kind}_classification",
    )
    model = transformers.ASTForAudioClassification(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    torch.nn.init.normal_(model.classifier.dense.weight)
    extract = transformers.ASTFeatureExtractor(mean=-3.0, std=4.0)
    write_ast(tmp_path, model)
    config.save_pretrained(tmp_path)
    extract.save_pretrained(tmp_path)
    tagger = AudioTagger.from_pretrained(tmp_path)
    assert tagger.labels == LABELS and tagger.max_seconds == 10.255
    assert tagger.model.info.single_label == (kind == "single_label")
    seen = []
    for n_samples in (500, 2800, 70000, 164080):
        wav = sound(n_samples)
        inputs = extract(wav, sampling_rate=16000, return_tensors="pt")
        with torch.no_grad():
            hidden = model.audio_spectrogram_transformer(**inputs)
            logits = model.classifier(hidden.pooler_output)
            pooled = model.classifier.layernorm(hidden.pooler_output)
        tokens = hidden.last_hidden_state[:, 2:].view(1, 12, 101, -1).mean(1)
        expected = logits.sigmoid()
        if kind == "single_label":
            expected = logits.softmax(1)
        outputs = ["probabilities", "tokens", "embeddings"]
        found = tagger.model.run(outputs, wav[None])
        np.testing.assert_allclose(found[0], expected, atol=TOLERANCE)
        count = max(n_samples - 2800, 0) // 1600 + 1
        np.testing.assert_allclose(found[1], tokens[:, :count], atol=TOLERANCE)
        np.testing.assert_allclose(found[2], pooled, atol=TOLERANCE)
        seen.append(found[0])
    assert np.ptp(seen, axis=0).max() > 10 * TOLERANCE


def test_ced_of_sherpa_onnx(tmp_path):
    sherpa_onnx = pytest.importorskip("sherpa_onnx")
    folder = write_sherpa(tmp_path / "model")
    theirs = sherpa_onnx.AudioTagging(
        sherpa_onnx.AudioTaggingConfig(
            model=sherpa_onnx.AudioTaggingModelConfig(
                ced=str(folder / "model.onnx")
            ),
            labels=str(folder / "class_labels_indices.csv"),
            top_k=len(LABELS),
        )
    )
    tagger = AudioTagger.from_pretrained(folder)
    assert tagger.labels == LABELS
    longest = tagger.model.max_samples
    assert longest == 62 * 16 * 160 - 80
    seen = []
    for n_samples in (2480, 16001, 77777, longest):
        wav = sound(n_samples)
        stream = theirs.create_stream()
        stream.accept_waveform(16000, wav)
        events = {event.name: event.prob for event in theirs.compute(stream)}
        found, tokens = tagger.model.run(["probabilities", "tokens"], wav[None])
        expected = [events[label] for label in LABELS]
        np.testing.assert_allclose(found[0], expected, atol=TOLERANCE)
        seen.append(found[0])
        more = n_samples - tagger.model.min_samples
        assert tokens.shape[1] == more // tagger.model.info.token_samples + 1
    assert np.ptp(seen, axis=0).max() > 10 * TOLERANCE


def test_an_encoder_of_waveforms(tmp_path):
    """Tags from its logits."""
    model = write_waveforms(tmp_path)
    tagger = AudioTagger.from_pretrained(tmp_path)
    assert tagger.labels == LABELS and tagger.sample_rate == 8000
    for n_samples in (1000, 4000):
        wav = sound(n_samples)
        padded = np.pad(wav, (0, 4000 - n_samples))
        with torch.no_grad():
            embedding, logits = model(torch.tensor(padded)[None])
        found = tagger.model.run(["probabilities", "embeddings"], wav[None])
        np.testing.assert_allclose(found[0], logits.sigmoid(), atol=1e-5)
        np.testing.assert_allclose(found[1], embedding, atol=1e-5)
    assert not tagger.model.probabilities(np.zeros((1, 4000))).any()
