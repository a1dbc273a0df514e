"""Tests of false alarms, and of thresholds that limit them.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses

import numpy as np
import pytest

from fftp_tag.events import Timeline, default_rules
from fftp_tag.false_alarms import (
    count_false_alarms,
    list_recordings,
    raise_thresholds,
    upper_bound,
)


def make_timeline(probs, threshold=0.5, merge_gap=0.0):
    """A timeline with a time step each second; classes are letters."""
    n_steps, n_classes = probs.shape
    return Timeline(
        times=np.arange(n_steps) + 0.5,
        probs=probs,
        clip_probs=probs.max(0),
        duration=float(n_steps),
        labels=list("abc"[:n_classes]),
        rules=default_rules(n_classes).replace(threshold, merge_gap),
    )


def counts(timelines):
    """The number of false alarms by label."""
    found = count_false_alarms(timelines)
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
    timeline = make_timeline(probs, threshold=[0.5, 0.4])
    assert counts([timeline]) == {"a": 4, "b": 0}
    for per_hour, expected in ((9.2, 0.5), (6.3, 0.7), (4.8, 0.8), (3, 0.9)):
        raised = raise_thresholds([timeline], per_hour)
        for thresholds in (raised.threshold, raised.high):
            assert thresholds == pytest.approx([expected, 0.4], abs=1e-6)
        assert raised.low.tolist() == timeline.rules.low.tolist()
        assert raised.is_learnt
        changed = dataclasses.replace(timeline, rules=raised)
        assert count_false_alarms([changed])["a"].at_most <= per_hour
    halves = [make_timeline(probs[:1800]), make_timeline(probs[1800:])]
    assert counts(halves) == {"a": 4, "b": 0}


def test_short_background_raises_nothing(caplog):
    timeline = make_timeline(np.ones((3600, 1), np.float32))
    for per_hour in (0, 2.9):
        assert raise_thresholds([timeline], per_hour) is None
        assert "60 minutes" in caplog.text
        caplog.clear()


def test_events_are_dropped_and_not_split():
    """Two of three: what is 0.65 is the middle of an event."""
    probs = [0.7, 0.1, 0.1, 0.9, 0.65, 0.8, 0.1, 0.1, 0.6, 0.1]
    probs = np.array(probs, np.float32)[:, None]
    timeline = make_timeline(probs)
    raised = raise_thresholds([timeline], 1710.0)  # so many if one in 10 s
    assert raised.high == pytest.approx([0.7], abs=1e-6)
    [event] = dataclasses.replace(timeline, rules=raised).events()
    assert (event.start, event.end) == (3, 6)


def test_a_certain_false_alarm_stays(caplog):
    timeline = make_timeline(np.ones((10, 1), np.float32))
    assert raise_thresholds([timeline], 1100).high == [1.0]
    assert "False alarms of a stay" in caplog.text


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
