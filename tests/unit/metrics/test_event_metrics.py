"""Tests of the metrics of events, against their definitions.

Authors
 * The speechbrain_fftp authors 2026
"""

import math
import statistics
import sys

import numpy as np
import pytest

from speechbrain_fftp.inference.events import Timeline
from speechbrain_fftp.metrics.events import event_metrics

LABELS = ["Dog", "Siren", "Bell"]
TRUTH = {
    "a": [(1.05, 1.95, "Dog"), (4.1, 5.6, "Siren")],
    "b": [(3.05, 3.95, "Dog"), (7.05, 7.95, "Dog")],
}


def make_timelines(truth, level=0.9):
    """Time steps of 10 ms that are ``level`` within each event, else 0.01."""
    times = np.arange(1000) / 100 + 0.005
    found = {}
    for clip in ("a", "b", "c"):
        probs = np.full((1000, 3), 0.01, np.float32)
        for start, end, label in truth.get(clip, ()):
            probs[(start <= times) & (times < end), LABELS.index(label)] = level
        found[clip] = Timeline(times, probs, probs.max(0), 10.0, 0.0, LABELS)
    return found


def moved(seconds):
    return {
        clip: [(a + seconds, b + seconds, x) for a, b, x in events]
        for clip, events in TRUTH.items()
    }


def test_perfect_events_have_perfect_scores():
    scores = event_metrics(make_timelines(TRUTH), TRUTH)
    assert scores["event_F1"] == scores["segment_F1"] == 1.0
    assert scores["onset_error"] == pytest.approx(0.0, abs=0.011)
    assert scores["PSDS1"] == pytest.approx(1.0)
    assert scores["PSDS2"] == pytest.approx(1.0)


@pytest.mark.parametrize("seconds, expected", [(0.15, 1.0), (0.25, 0.0)])
def test_late_events_count_up_to_the_collar(seconds, expected):
    scores = event_metrics(make_timelines(moved(seconds)), TRUTH)
    assert scores["event_F1"] == expected
    assert scores["onset_error"] == pytest.approx(seconds, abs=0.02)
    # 0.72 of each event is enough for PSDS1.
    assert scores["PSDS1"] == pytest.approx(1.0)


def test_missed_and_false_events_by_hand():
    found = {"a": TRUTH["a"], "c": [(2.1, 2.9, "Siren"), (1.0, 9.0, "Bell")]}
    scores = event_metrics(make_timelines(found), TRUTH)
    # One of three dogs; a siren and a false one; no bell is there to be found.
    assert scores["event_F1"] == pytest.approx((2 / (3 + 1) + 2 / (1 + 2)) / 2)
    # The siren from 4.1 to 5.6 is in two segments.
    assert scores["segment_F1"] == pytest.approx((2 / 4 + 4 / 5) / 2)
    # Without false events: one dog of three, one siren of one
    scores = event_metrics(make_timelines({"a": TRUTH["a"]}), TRUTH)
    rates = 1 / 3, 1.0
    expected = statistics.mean(rates) - statistics.pstdev(rates)
    assert scores["PSDS1"] == pytest.approx(expected)


def test_thresholds_matter_for_f1_alone():
    timelines = make_timelines(TRUTH, level=0.4)
    low, high = (event_metrics(timelines, TRUTH, x) for x in (0.3, 0.5))
    assert low["event_F1"] == 1.0 and high["event_F1"] == 0.0
    assert math.isnan(high["onset_error"])
    assert low["PSDS1"] == high["PSDS1"] == pytest.approx(1.0)


def test_errors(monkeypatch):
    with pytest.raises(ValueError, match="No clip"):
        event_metrics(make_timelines(TRUTH), {"other": TRUTH["a"]})
    monkeypatch.setitem(sys.modules, "psds_eval", None)
    with pytest.raises(ValueError, match="psds_eval"):
        event_metrics(make_timelines(TRUTH), TRUTH)
