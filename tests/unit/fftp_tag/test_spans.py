"""Tests of the features of spans.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import onnx
import pytest
import tiny_onnx
from tiny_onnx import FRAME, LONGEST, PATCH, RATE, STEP

from fftp_tag import AudioTagger
from fftp_tag.model.session import Model
from fftp_tag.model.spans import OUTPUT, make_span_model

# More bands than their limit of 64
PITCHES = {f"{pitch} Hz": float(pitch) for pitch in range(20, 440, 6)}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model of clips."""
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    return Model(tiny_onnx.write_model(path, pitches=PITCHES))


@pytest.fixture(scope="module")
def spans(tmp_path_factory, model):
    """The model with spans of 0.8 s: 15 tokens, of 50 ms each and a patch."""
    path = tmp_path_factory.mktemp("spans") / "spans.onnx"
    found = make_span_model(model, path, 0.83, surroundings=3)
    onnx.checker.check_model(onnx.load(path))
    assert (found.span_samples, found.hop_samples) == (800, STEP)
    return found


def noise(size, seed=0):
    """Samples whose level changes."""
    rng = np.random.default_rng(seed)
    level = np.linspace(0.01, 0.3, size) ** 2
    return (level * rng.standard_normal(size)).astype(np.float32)


def expected_spans(model, wav, size, step, surroundings=3):
    """Features of spans of so many samples ``[N, F]``, one after another."""
    count = (size - PATCH) // STEP + 1
    n_around = min(surroundings * count, (LONGEST - PATCH) // STEP + 1)
    end = max(len(wav), size)
    around = PATCH + (n_around - 1) * STEP
    if len(wav) < around:
        faint = np.random.default_rng(0).standard_normal(2**14)[:around]
        padded = np.abs(wav).max() * 10 ** (-50 / 20) * faint
        start = max(size - len(wav), 0) // 2
        padded[start : start + len(wav)] = wav
        wav = padded
    tokens, frames = model.run(["tokens", "features"], wav[None])
    rows = []
    last = (end - size) // STEP * STEP
    for start in [*range(0, last, step), last]:
        first = start // STEP
        own = tokens[0, first : first + count]
        first_near = first - (n_around - count) // 2
        first_near = max(min(first_near, len(tokens[0]) - n_around), 0)
        near = tokens[0, first_near : first_near + n_around]
        first, n_frames = start // FRAME, (size - PATCH) // FRAME + 1
        bands = frames[0, first : first + n_frames]
        bands = bands.reshape(n_frames, -1, 2).mean(2)
        rise = bands[2:] - bands[:-2] if n_frames > 2 else 0 * bands
        first = first_near * STEP // FRAME
        n_frames = (around - PATCH) // FRAME + 1
        wide = frames[0, first : first + n_frames]
        wide = wide.reshape(n_frames, -1, 2).mean(2)
        parts = (own.mean(0), own.max(0), near.std(0))
        parts += (bands.mean(0), bands.std(0), rise.std(0))
        parts += (wide.mean(0), wide.std(0))
        rows.append(np.concatenate(parts))
    return np.stack(rows)


def test_spans_are_pooled(model, spans):
    """Of clips from less than a patch to several spans."""
    for size in (60, 500, 800, 1234, LONGEST):
        wavs = np.stack([noise(size, seed) for seed in range(3)])
        for wav, found in zip(wavs, spans.run([OUTPUT], wavs)[0]):
            expected = expected_spans(model, wav, 800, STEP)
            np.testing.assert_allclose(found, expected, atol=2e-4)
            assert len(found) == len(spans.info.prediction_starts(size))


@pytest.mark.parametrize(
    "seconds, size, step, surroundings",
    [(0.01, 100, 50, 1), (0.01, 100, 50, 3), (1.6, 1600, 350, 3)]
    + [(9, 2000, 450, 1)],
)
def test_spans_of_any_length(
    tmp_path, model, seconds, size, step, surroundings
):
    """From one patch to the maximum clip length."""
    path = tmp_path / "spans.onnx"
    found = make_span_model(model, path, seconds, surroundings)
    assert (found.span_samples, found.hop_samples) == (size, step)
    wav = noise(LONGEST)
    _, rows = AudioTagger(found).span_features(wav, RATE)
    expected = expected_spans(model, wav, size, step, surroundings)
    np.testing.assert_allclose(rows, expected, atol=2e-4)
