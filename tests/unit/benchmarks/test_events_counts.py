"""Tests how correct, false and missed events are counted.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import numpy as np
import pytest

from speechbrain_fftp.inference import Event

FOLDER = Path(__file__).resolve().parents[3] / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import events

    return events


def test_events_are_counted(script):
    sounds = [("a", 1.0, 3.0), ("b", 2.0, 6.0), ("c", 4.0, 5.0)]
    events = [
        Event(1.5, 9.0, "a", 0.9),  # at the right time
        Event(0.5, 4.0, "b", 0.9),  # neither in time nor half of it
        Event(3.0, 5.0, "c", 0.9),  # half of it
        Event(3.5, 5.0, "c", 0.9),  # the same sound again
        Event(1.0, 3.0, "d", 0.9),
    ]
    counts = script.count(events, sounds)
    assert counts == {"correct": 2, "false": 3, "missed": 1}
    assert script.count([], sounds)["missed"] == 3


def test_sounds_of_a_clip_have_different_labels_and_fit_in(script):
    for seed in range(5):
        wav, sounds = script.mix_clip(np.random.default_rng(seed))
        assert 2 <= len(sounds) <= 4
        assert len({label for label, *_ in sounds}) == len(sounds)
        for _, start, end in sounds:
            assert 0 <= start < end <= len(wav) / 16000
