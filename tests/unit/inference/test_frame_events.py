"""Tests of events found in the time steps of a model trained on strong labels.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import soundfile
import torch

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.events import step_targets
from speechbrain_fftp.inference.torch_engine import TorchEngine
from speechbrain_fftp.lobes.features import DatasetNormalization, KaldiFbank
from speechbrain_fftp.lobes.frame_classifier import FrameClassifier
from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d
from speechbrain_fftp.lobes.tagger import Tagger
from speechbrain_fftp.nnet.patching import FFTPEmbedding
from speechbrain_fftp.training.strong_labels import frame_loss

RATE, SECONDS = 16000, 3
PITCHES = {"Beep": 900.0, "Hum": 200.0, "Whistle": 3000.0}


def make_clip(seconds):
    """Noise with one sound of each class; the samples, and the sounds."""
    wav, sounds = 0.01 * torch.randn(round(seconds * RATE)), []
    for label, pitch in PITCHES.items():
        start = float(torch.rand(1)) * (seconds - 1.2)
        end = start + 0.3 + 0.9 * float(torch.rand(1))
        time = torch.arange(round(start * RATE), round(end * RATE))
        wav[time] += 0.2 * (2 * torch.pi * pitch * time / RATE).sin()
        sounds.append((label, start, end))
    return wav, sounds


@pytest.fixture(scope="module")
def tagger(tmp_path_factory):
    """A tiny model, trained on the times of sounds in 64 clips."""
    torch.manual_seed(0)
    clips = {f"clip{i}": make_clip(SECONDS) for i in range(64)}
    embedding = FFTPEmbedding(40, 32, 10, 5)
    frames = 100 * SECONDS
    modules = {
        "compute_features": KaldiFbank(n_mels=40),
        "mean_var_norm": DatasetNormalization(),
        "embedding_model": ConvNeXt1d(
            40, 32, 1, embedding, frames, kernel=5, pooling="tokens"
        ),
        "classifier": FrameClassifier(32, len(PITCHES)),
    }
    tagger = Tagger(*modules.values())
    numbers = {label: number for number, label in enumerate(PITCHES)}
    parts = modules["embedding_model"], modules["classifier"]
    optimizer = torch.optim.AdamW(
        [p for part in parts for p in part.parameters()], lr=0.01
    )
    wavs = torch.stack([wav for wav, _ in clips.values()])
    feats, _ = tagger.features(wavs)
    times = tagger.step_times(wavs.shape[1]).numpy()
    targets = torch.stack(
        [
            torch.as_tensor(
                step_targets(
                    times, [(a, b, numbers[x]) for x, a, b in sounds], 3
                )
            )
            for _, sounds in clips.values()
        ]
    ).float()
    for _ in range(120):
        logits = parts[1].frame_logits(parts[0](feats))
        loss = frame_loss(logits, targets, torch.ones_like(targets))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1
    labels = CategoricalEncoder()
    labels.update_from_iterable(PITCHES)
    sizes = {"sample_rate": RATE, "max_frames": frames, "label_encoder": labels}
    return AudioTagger(TorchEngine(modules, sizes))


@pytest.mark.parametrize("seconds", [SECONDS, 10.0])
def test_sounds_are_found_where_they_are(tagger, tmp_path, seconds):
    torch.manual_seed(1)
    for number in range(5):
        path = tmp_path / f"{number}.wav"
        wav, sounds = make_clip(seconds)
        soundfile.write(path, wav.numpy(), RATE)
        found = tagger.tag_long(path, threshold=0.5, low=0.5)
        found = {x.label: x for x in found}
        assert len(found) == 3
        for label, start, end in sounds:
            assert found[label].start == pytest.approx(start, abs=0.1)
            assert found[label].end == pytest.approx(end, abs=0.1)


def test_a_file_is_analysed_in_one_go(tagger, tmp_path, monkeypatch):
    wav, _ = make_clip(20.0)
    path = tmp_path / "clip.wav"
    soundfile.write(path, wav.numpy(), RATE)
    encoder, samples = tagger.engine.tagger.embedding_model, []
    encode = encoder.forward
    monkeypatch.setattr(
        encoder,
        "forward",
        lambda feats, *lens: (
            samples.append(feats.shape[0] * feats.shape[1])
            or encode(feats, *lens)
        ),
    )
    found = tagger.analyze(path)
    times, probs = tagger.frame_probabilities(path)
    np.testing.assert_array_equal(found.times, times)
    np.testing.assert_array_equal(found.probs, probs)
    assert found.duration == 20.0
    assert sum(samples) / 2 < 1.3 * 2000  # frames, in each of both calls
    # One clip at once: the tags of the file
    short = tmp_path / "short.wav"
    soundfile.write(short, wav[: RATE * SECONDS].numpy(), RATE)
    assert tagger.analyze(short).tags() == tagger.tag_file(short)
    # With windows, as for other models
    windows = tagger.analyze(path, window=1.0)
    assert windows.window == 1.0 and len(windows.times) == 77
