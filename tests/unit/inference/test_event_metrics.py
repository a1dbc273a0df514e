"""Tests of the metrics of events, against their definitions.

Authors
 * The speechbrain_fftp authors 2026
"""

import statistics
import sys

import numpy as np
import pytest

from speechbrain_fftp.inference.event_metrics import event_metrics
from speechbrain_fftp.inference.events import Timeline

LABELS = ["Dog", "Siren", "Bell"]
TRUTH = {
    "a": [(1.05, 1.95, "Dog"), (4.1, 5.6, "Siren")],
    "b": [(3.05, 3.95, "Dog"), (7.05, 7.95, "Dog")],
}


def make_timelines(truth):
    """Time steps of 10 ms that are 0.9 within each event, else 0.01."""
    times = np.arange(1000) / 100 + 0.005
    found = {}
    for clip in ("a", "b", "c"):
        probs = np.full((1000, 3), 0.01, np.float32)
        for start, end, label in truth.get(clip, ()):
            probs[(start <= times) & (times < end), LABELS.index(label)] = 0.9
        found[clip] = Timeline(times, probs, probs.max(0), 10.0, 0.0, LABELS)
    return found


@pytest.mark.parametrize("delay, f1", [(0.0, 1.0), (0.15, 1.0), (0.25, 0.0)])
def test_late_events_count_up_to_the_collar(delay, f1):
    late = {
        clip: [(a + delay, b + delay, x) for a, b, x in events]
        for clip, events in TRUTH.items()
    }
    scores = event_metrics(make_timelines(late), TRUTH)
    assert scores["event_F1"] == f1
    assert scores["onset_error"] == pytest.approx(delay, abs=0.02)
    # 0.72 of each event is enough for PSDS
    assert scores["PSDS1"] == scores["PSDS2"] == pytest.approx(1.0)


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


def test_errors(monkeypatch):
    with pytest.raises(ValueError, match="No clip"):
        event_metrics(make_timelines(TRUTH), {"other": TRUTH["a"]})
    monkeypatch.setitem(sys.modules, "psds_eval", None)
    with pytest.raises(ValueError, match="psds_eval"):
        event_metrics(make_timelines(TRUTH), TRUTH)
