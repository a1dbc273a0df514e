"""Tests of events in streams: those of files, with bounded delay.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses

import numpy as np
import pytest

from fftp_tag import AudioTagger
from fftp_tag.tag.live import stream_events
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.dataio.model_info import default_rules

RATE = 1000
LEVELS = np.array([0.25, 0.5, 0.75], np.float32)


class Shares:
    """Its probabilities are the shares of a window at three levels."""

    labels = ["A", "B", "C"]
    sample_rate, max_samples, min_samples, frame_samples = RATE, 4000, 20, 10
    window_samples = None
    has_steps = False
    rules = default_rules(3)

    def probabilities(self, wavs):
        is_level = np.abs(wavs[..., None] - LEVELS) < 0.01
        return is_level.mean(1, dtype=np.float32)


class StepShares(Shares):
    """The same of time steps of 20 samples each."""

    has_steps, step_samples, first_seconds = True, 20, 0.01

    def step_probabilities(self, wavs):
        steps = wavs[:, : len(wavs[0]) // 20 * 20].reshape(-1, 20)
        probs = self.probabilities(steps).reshape(len(wavs), -1, 3)
        return self.probabilities(wavs), probs

    def step_times(self, n_samples):
        return 0.01 + 0.02 * np.arange(n_samples // 20)


def levels(seconds, seed):
    """Samples at levels that change, and silence."""
    rng, size = np.random.default_rng(seed), round(seconds * RATE)
    lengths = rng.integers(30, 1500, size // 30 + 1)
    return np.repeat(rng.choice([0, *LEVELS], len(lengths)), lengths)[
        :size
    ].astype(np.float32)


def in_blocks(wav, size):
    return (wav[n : n + size] for n in range(0, len(wav), size))


def in_order(events):
    return sorted(events, key=lambda x: (x.start, x.label, x.end))


def ended(events):
    """Events that are over; each must have begun, once at a time."""
    begun, rows = {}, []
    for event in events:
        if event.end is None:
            assert event.label not in begun
            begun[event.label] = event
            continue
        first = begun.pop(event.label)
        assert first.start == event.start < event.end
        assert first.probability <= event.probability
        rows.append(event)
    assert not begun
    return in_order(rows)


RULES = (
    {},
    {"merge_gap": 0.6},
    {"min_duration": 0.4, "threshold": np.array([0.2, 0.9, 0.5])},
    {"merge_gap": 1.0, "min_duration": 1.3},
)


def events_of_a_file(tagger, wav, window=None, hop=None, **rules):
    """Its events of any class: of a stream, it is not known what its tags are."""
    timeline = tagger.analyze(wav, RATE, window, hop)
    everything = np.ones(len(timeline.labels), np.float32)
    timeline = dataclasses.replace(timeline, clip_probs=everything)
    return timeline.events(**rules)


@pytest.mark.parametrize(
    "seconds, block",
    [(0.03, 7), (4.0, 10**6), (60.3, 100)],
)
@pytest.mark.parametrize(
    "window, hop", [(0.5, 0.125), (None, None), (0.7, 0.3), (4.0, 4.0)]
)
def test_events_are_those_of_a_file(seconds, block, window, hop):
    tagger, wav = AudioTagger(Shares()), levels(seconds, seed=1)
    count = 0
    for rules in RULES:
        expected = events_of_a_file(tagger, wav, window, hop, **rules)
        found = stream_events(
            tagger, in_blocks(wav, block), window, hop, **rules
        )
        assert ended(found) == in_order(expected)
        count += len(expected)
    assert count >= min(seconds, 9)


@pytest.mark.parametrize("block, hop", [(50, None), (333, 0.1), (10**6, 0.5)])
def test_time_steps_of_a_stream_are_those_of_a_file(block, hop):
    """Of a model whose steps depend on their own samples alone."""
    tagger, wav = AudioTagger(StepShares()), levels(30.01, seed=2)
    for rules in RULES:
        expected = events_of_a_file(tagger, wav, **rules)
        found = stream_events(
            tagger, in_blocks(wav, block), hop=hop, context=2.0, **rules
        )
        assert ended(found) == in_order(expected)
        assert len(expected) > 5


@pytest.mark.parametrize(
    "model, late", [(Shares(), 2.0), (StepShares(), 0.25 + 0.3 + 2 * 0.02)]
)
def test_an_event_is_known_soon(model, late):
    """That a sound has begun, and is over after the gap."""
    wav = np.zeros(20 * RATE, np.float32)
    wav[6 * RATE : 10 * RATE] = 0.5
    heard = 0

    def blocks():
        """Counts what is taken."""
        nonlocal heard
        for block in in_blocks(wav, 10):
            heard += len(block)
            yield block

    events = stream_events(
        AudioTagger(model), blocks(), merge_gap=1.5, min_duration=1.0
    )
    begun = next(events)
    assert (begun.label, begun.end) == ("B", None)
    assert 7.0 <= heard / RATE <= 7.0 + late
    over = next(events)
    assert over.end == pytest.approx(10.0, abs=0.6)
    assert over.end + 1.5 <= heard / RATE <= over.end + 1.5 + late


@pytest.mark.parametrize(
    "model, options, name",
    [
        (Shares(), {"context": 2.0}, "context"),
        (StepShares(), {"window": 2.0}, "window"),
        (StepShares(), {"context": 4.1}, "context"),
        (StepShares(), {"hop": 0.01}, "hop"),
        (StepShares(), {"threshold": 2.0}, "threshold"),
    ],
)
def test_options_that_do_not_suit_the_model(model, options, name):
    with pytest.raises(InputError, match=name):
        next(stream_events(AudioTagger(model), [], **options))
