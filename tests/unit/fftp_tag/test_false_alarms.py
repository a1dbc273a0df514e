"""Tests of false alarms, and of thresholds that limit them.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest

from fftp_tag.events import Rules, Timeline
from fftp_tag.false_alarms import (
    count_false_alarms,
    list_recordings,
    raise_thresholds,
    upper_bound,
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


def counts(timelines, thresholds=None):
    """The number of false alarms by label."""
    found = count_false_alarms(timelines, thresholds)
    return {label: alarms.count for label, alarms in found.items()}


def test_upper_bounds_are_those_of_poisson():
    """As published tables have them: "the rule of three" for none."""
    for count, expected in ((0, 2.996), (1, 4.744), (2, 6.296), (10, 16.962)):
        assert upper_bound(count) == pytest.approx(expected, abs=1e-3)
    probs = np.zeros((120, 1), np.float32)  # two minutes
    found = count_false_alarms([make_timeline(probs)])["a"]
    assert found.per_hour == 0
    assert found.at_most == pytest.approx(89.87, abs=0.01)


def test_thresholds_are_raised_as_little_as_needed():
    """Peaks are known: the second highest of an hour may stay."""
    probs = np.zeros((3600, 2), np.float32)
    probs[np.arange(4) * 100 + 50, 0] = [0.9, 0.8, 0.7, 0.6]
    probs[10, 1] = 0.3
    timeline = make_timeline(probs)
    start = np.array([0.5, 0.4], np.float32)
    assert counts([timeline], start) == {"a": 4, "b": 0}
    for per_hour, expected in ((9.2, 0.5), (6.3, 0.7), (4.8, 0.8), (3, 0.9)):
        raised = raise_thresholds([timeline], start, per_hour)
        assert raised == pytest.approx([expected, 0.4], abs=1e-6)
        found = count_false_alarms([timeline], raised)["a"]
        assert found.at_most <= per_hour
    halves = [make_timeline(probs[:1800]), make_timeline(probs[1800:])]
    assert counts(halves) == {"a": 4, "b": 0}


def test_short_background_raises_nothing(caplog):
    timeline = make_timeline(np.ones((3600, 1), np.float32))
    start = np.array([0.5])
    for per_hour in (0, 2.9):
        assert raise_thresholds([timeline], start, per_hour) is None
        assert "60 minutes" in caplog.text
        caplog.clear()


def test_events_that_a_higher_threshold_splits():
    """The first event is dropped; the second one then is two."""
    probs = [0.1, 0.7, 0.1, 0.1, 0.9, 0.65, 0.8, 0.1, 0.1, 0.1]
    probs = np.array(probs, np.float32)[:, None]
    start, per_hour = np.array([0.5]), 1710.0  # so many if one in 10 s
    raised = raise_thresholds([make_timeline(probs)], start, per_hour)
    assert raised == pytest.approx([0.8], abs=1e-6)
    # The rules of the timeline count: here, the two are one
    joined = make_timeline(probs, merge_gap=1.5)
    raised = raise_thresholds([joined], start, per_hour)
    assert raised == pytest.approx([0.7], abs=1e-6)


def test_a_certain_false_alarm_stays():
    timeline = make_timeline(np.ones((10, 1), np.float32))
    assert raise_thresholds([timeline], np.array([0.5]), 1100) == [1.0]


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
