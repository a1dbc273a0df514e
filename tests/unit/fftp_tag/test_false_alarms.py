"""Tests of false alarms, and of thresholds that limit them.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest

from fftp_tag.events import Rules, Timeline
from fftp_tag.false_alarms import (
    false_alarms_per_hour,
    list_recordings,
    raise_thresholds,
)


def make_timeline(probs, merge_gap=0.0):
    """A timeline with a time step each second; classes are letters."""
    n_steps, n_classes = probs.shape
    return Timeline(
        times=np.arange(n_steps) + 0.5,
        probs=probs,
        clip_probs=probs.max(0),
        duration=float(n_steps),
        labels=list("abc"[:n_classes]),
        rules=Rules(
            threshold=np.full(n_classes, 0.5, np.float32),
            merge_gap=np.full(n_classes, merge_gap),
            min_duration=np.zeros(n_classes),
        ),
    )


def test_thresholds_are_raised_as_little_as_needed():
    """Peaks are known: the second highest of an hour may stay."""
    probs = np.zeros((3600, 2), np.float32)
    probs[np.arange(4) * 100 + 50, 0] = [0.9, 0.8, 0.7, 0.6]
    probs[10, 1] = 0.3
    timeline = make_timeline(probs)
    start = np.array([0.5, 0.4], np.float32)
    assert false_alarms_per_hour([timeline], start) == {"a": 4, "b": 0}
    for allowed, expected in ((4, 0.5), (2, 0.7), (1, 0.8), (0.5, 0.9)):
        raised = raise_thresholds([timeline], start, allowed)
        assert raised == pytest.approx([expected, 0.4], abs=1e-6)
        alarms = false_alarms_per_hour([timeline], raised)
        assert alarms["a"] <= allowed
    halves = [make_timeline(probs[:1800]), make_timeline(probs[1800:])]
    assert false_alarms_per_hour(halves) == {"a": 4, "b": 0}


def test_events_that_a_higher_threshold_splits():
    """The first event is dropped; the second one then is two."""
    probs = [0.1, 0.7, 0.1, 0.1, 0.9, 0.65, 0.8, 0.1, 0.1, 0.1]
    probs = np.array(probs, np.float32)[:, None]
    start, per_hour = np.array([0.5]), 360.0  # one in 10 s
    raised = raise_thresholds([make_timeline(probs)], start, per_hour)
    assert raised == pytest.approx([0.8], abs=1e-6)
    # The rules of the timeline count: here, the two are one
    joined = make_timeline(probs, merge_gap=1.5)
    raised = raise_thresholds([joined], start, per_hour)
    assert raised == pytest.approx([0.7], abs=1e-6)


def test_a_certain_false_alarm_stays():
    timeline = make_timeline(np.ones((10, 1), np.float32))
    assert raise_thresholds([timeline], np.array([0.5]), 0.0) == [1.0]


def test_recordings_of_a_folder(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FileNotFoundError, match=tmp_path.name):
        list_recordings(tmp_path)
    paths = [tmp_path / "b.wav", tmp_path / "deep" / "a.FLAC"]
    for path in paths:
        path.touch()
    assert list_recordings(tmp_path) == [str(path) for path in paths]
    assert list_recordings(paths[1]) == [str(paths[1])]
    with pytest.raises(OSError, match="missing"):
        list_recordings(tmp_path / "missing")
