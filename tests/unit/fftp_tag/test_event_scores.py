"""Tests of scores of events: by hand, by brute force, and against mir_eval.

Authors
 * The speechbrain_fftp authors 2026
"""

import itertools

import numpy as np
import pytest

from fftp_tag.errors import InputError
from fftp_tag.model.info import default_rules
from fftp_tag.score.events import (
    ClipEvents,
    count_events,
    event_metrics,
    is_on_time,
    overlap_by_half,
    pair_events,
)
from fftp_tag.tag.events import Timeline

LABELS = ["Dog", "Siren", "Bell"]


def make_timeline(events):
    """Predictions each 10 ms that are 0.9 within each event."""
    times = np.arange(1000) / 100 + 0.005
    probs = np.full((1000, 3), 0.01, np.float32)
    for start, end, label in events:
        probs[(start <= times) & (times < end), LABELS.index(label)] = 0.9
    return Timeline(times, probs, probs.max(0), 10, LABELS, default_rules(3))


def test_missed_and_false_events_by_hand():
    truth = {
        "a": [(1.05, 1.95, "Dog"), (4.1, 5.6, "Siren")],
        "b": [(3.05, 3.95, "Dog"), (7.05, 7.95, "Dog")],
        "c": [],
    }
    found = {
        "a": truth["a"],
        "b": [],
        "c": [(2.1, 2.9, "Siren"), (1.0, 9.0, "Bell")],
    }
    timelines = {clip: make_timeline(found[clip]) for clip in truth}
    scores = event_metrics(pair_events(timelines, truth, LABELS))
    # One of three dogs; a siren and a false one; no bell is there to be found.
    assert scores["event_F1"] == pytest.approx((2 / (3 + 1) + 2 / (1 + 2)) / 2)
    # Of all classes: two of four events, and two false ones
    assert scores["overlap_precision"] == scores["overlap_recall"] == 0.5
    scores = event_metrics(pair_events(timelines, truth, ["Dog", "Siren"]))
    assert scores["overlap_precision"] == pytest.approx(2 / 3)
    assert scores["overlap_F1"] == pytest.approx(2 * 2 / (4 + 3))
    with pytest.raises(InputError, match="event"):
        event_metrics(pair_events(timelines, truth, ["Bell"]))


def test_limits_are_within_reach():
    """Although 0.9 - 0.7 is more than 0.2 in floating point."""
    clip = ClipEvents(np.array([[0.7, 1.2]]), np.array([[0.9, 1.4]]))
    assert is_on_time(clip).all()
    assert not is_on_time(clip._replace(found=clip.found + 0.001)).any()
    half = ClipEvents(np.array([[0.0, 2.0]]), np.array([[0.0, 1.0]]))
    assert overlap_by_half(half).all()


def random_events(seed):
    """True and found events of a class, which may overlap each other."""
    rng = np.random.default_rng(seed)
    true = rng.uniform(0, 8, (rng.integers(1, 6), 1)) + [[0, 0]]
    true[:, 1] += rng.uniform(0.1, 3, len(true))
    found = np.concatenate([true, true])[: rng.integers(1, 6)]
    found = found + 0.3 * rng.standard_normal(found.shape)
    found[:, 1] = np.maximum(found[:, 1], found[:, 0] + 0.05)
    return ClipEvents(true, found)


def intersection_over_union(a, b):
    both = max(min(a[1], b[1]) - max(a[0], b[0]), 0)
    return both / (a[1] - a[0] + b[1] - b[0] - both)


def test_overlaps_are_those_of_all_pairings():
    more = 0
    for seed in range(100):
        clip = random_events(seed)
        shorter, longer = sorted(clip, key=len)
        expected = max(
            sum(
                intersection_over_union(a, b) >= 0.5
                for a, b in zip(shorter, order)
            )
            for order in itertools.permutations(longer, len(shorter))
        )
        assert count_events([clip], overlap_by_half).right == expected
        more += overlap_by_half(clip).sum() > expected
    assert more > 10  # where an event could match several


def test_events_on_time_are_mir_evals():
    transcription = pytest.importorskip("mir_eval.transcription")
    for seed in range(100):
        true, found = random_events(seed)
        pairs = transcription.match_notes(
            true,
            np.full(len(true), 440.0),
            found,
            np.full(len(found), 440.0),
            onset_tolerance=0.2,
            offset_ratio=0.2,
            offset_min_tolerance=0.2,
        )
        right = count_events([ClipEvents(true, found)], is_on_time).right
        assert right == len(pairs)
