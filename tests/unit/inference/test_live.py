"""Tests of events in streams: those of files, with bounded delay and memory.

Authors
 * The speechbrain_fftp authors 2026
"""

from types import SimpleNamespace

import numpy as np
import pytest
import soundfile as sf
import torch
from small_models import CLIP, RATE, make_tagger

from speechbrain_fftp.inference.live import stream_events
from speechbrain_fftp.lobes.features import DatasetNormalization
from speechbrain_fftp.lobes.frame_classifier import FrameClassifier


def bursts(samples, seed):
    """Noise whose level changes, so that probabilities do."""
    rng = np.random.default_rng(seed)
    levels = np.repeat(rng.random(samples // 4000 + 1) ** 4, 4000)[:samples]
    noise = rng.standard_normal(samples) * levels * 0.5
    return noise.clip(-1, 1).astype(np.float32)


def in_blocks(wav, size):
    return (wav[n : n + size] for n in range(0, len(wav), size))


def ended(events):
    """Events that have ended, as rows; each must have begun, once at a time."""
    begun, rows = {}, []
    for event in events:
        if event.end is None:
            assert event.label not in begun
            begun[event.label] = event.probability
            continue
        # What is known at first is a lower bound
        assert event.probability >= begun.pop(event.label)
        assert event.start < event.end
        rows.append((event.label, event.start, event.end, event.probability))
    assert not begun
    return sorted(rows)


def assert_same(rows, expected, tolerance=2e-5):
    expected = sorted(
        (x.label, x.start, x.end, x.probability) for x in expected
    )
    assert [row[0] for row in rows] == [row[0] for row in expected]
    for found, wanted in zip(rows, expected):
        assert found[1:] == pytest.approx(wanted[1:], abs=tolerance)
    return len(rows)


@pytest.mark.parametrize(
    "seconds, block",
    [
        (0.03, 7),
        (0.5, 160),
        (0.50001, 1600),
        (1.0, 8000),
        (CLIP / RATE, 10**6),
        (9.1, 1000),
    ],
)
@pytest.mark.parametrize(
    "window, hop",
    [(0.5, 0.125), (None, None), (0.3, 0.7), (1.0, 0.3), (CLIP / RATE, 4.0)],
)
def test_events_are_those_of_a_file(
    tagger, tmp_path, seconds, block, window, hop
):
    samples, count = round(seconds * RATE), 0
    path, wav = tmp_path / "a.wav", bursts(samples, samples)
    sf.write(path, wav, RATE, subtype="FLOAT")
    probs = tagger.analyze(path, window, hop).probs
    per_class = np.quantile(probs, 0.7, axis=0)
    for threshold, low in (
        (np.quantile(probs, 0.8), None),
        (np.quantile(probs, 0.6), np.quantile(probs, 0.55)),
        (per_class, None),
        (per_class, 0.9 * per_class),
    ):
        options = window, hop, threshold, low
        expected = tagger.tag_long(path, *options)
        found = stream_events(tagger, in_blocks(wav, block), *options)
        count += assert_same(ended(found), expected)
    assert count > 3


class Means(torch.nn.Module):
    """Frames of ten samples each, at 1000 Hz."""

    window, shift, sample_rate = 10, 10, 1000
    center = False

    def num_frames(self, samples):
        return samples // 10

    def forward(self, wavs):
        return wavs.unfold(1, 10, 10).mean(2, keepdim=True)


class FrameLevels(torch.nn.Module):
    """Tokens of two frames each: whether they are at 0.25, 0.5 and 0.75."""

    embedding = SimpleNamespace(
        patch_frames=2,
        stride_frames=2,
        num_patches=lambda frames: frames // 2,
        time_patches=lambda frames: frames // 2,
    )

    def forward(self, feats, lens=None):
        is_level = (feats - torch.tensor([0.25, 0.5, 0.75])).abs() < 0.01
        pairs = is_level[:, : len(feats[0]) // 2 * 2].unflatten(1, (-1, 2))
        return 0.1 + 0.8 * pairs.float().mean(2)


@pytest.fixture(scope="module")
def frame_levels():
    """A tagger of time steps of 0.02 s that hears levels, at 1000 Hz."""
    classifier = FrameClassifier(3, 3, mean_seconds=0.1)
    classifier.frame_logits = torch.logit
    return make_tagger(
        FrameLevels(),
        classifier,
        front_end=Means(),
        normalizer=DatasetNormalization(0, 0.5),
        sample_rate=1000,
        max_frames=400,
    )


@pytest.mark.parametrize("size, hop", [(50, None), (333, 0.1), (10**6, 0.5)])
def test_time_steps_of_a_stream_are_those_of_a_file(frame_levels, size, hop):
    """Of a model whose steps depend on their own frames alone."""
    rng, wav = np.random.default_rng(1), np.zeros(30_010, "f")
    for start in range(500, 28_000, 1500):
        wav[start : start + rng.integers(100, 1400)] = rng.choice([0.25, 0.5])
    expected = frame_levels.tag_long([wav])
    found = stream_events(
        frame_levels, in_blocks(wav, size), hop=hop, context=2.0
    )
    assert assert_same(ended(found), expected) > 15
