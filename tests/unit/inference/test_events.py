"""Tests of tags, events and how events are found in probabilities.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest

from speechbrain_fftp.inference.events import (
    Timeline,
    moving_average,
    step_targets,
)

LABELS = ["Siren", "Bark, dog"]


def find_events(times, probs, duration, window=0.0, **options):
    """Events of a timeline."""
    timeline = Timeline(times, probs, None, duration, window, LABELS)
    return timeline.events(**options)


def found(columns, duration=9.0, **options):
    """Events as tuples, for windows of length 0 at 0.5, 1.5, ..."""
    probs = np.array(columns, np.float32).T
    times = np.arange(len(probs)) + 0.5
    events = find_events(times, probs, duration, **options)
    return [
        (round(e.start, 4), round(e.end, 4), e.label, round(e.probability, 4))
        for e in events
    ]


ZERO = [0.0] * 9


@pytest.mark.parametrize(
    "column, expected",
    [
        (ZERO, []),
        ([0.4] * 9, []),  # above low, but never at the threshold
        ([0.5] * 9, [(0, 9, 0.5)]),  # the whole file
        # Crosses 0.25 half way between two windows on both sides
        ([0, 0, 0, 0.5, 0.5, 0.5, 0, 0, 0], [(3, 6, 0.5)]),
        # Continues on both sides down to 0.25, inclusive
        ([0, 0, 0.25, 0.25, 0.75, 0.25, 0, 0, 0], [(2.5, 5.5, 0.75)]),
        # A dip to 0.25 does not end an event, a lower one does
        ([0, 0.5, 0.25, 0.5, 0, 0, 0, 0, 0], [(1, 4, 0.5)]),
        (
            [0, 0.5, 0, 0.75, 0, 0, 0, 0, 0],
            [(1, 2, 0.5), (2.8333, 4.1667, 0.75)],
        ),
        # The low part after a dip does not reach the threshold
        ([0, 1.0, 0, 0.4, 0, 0, 0, 0, 0], [(0.75, 2.25, 1.0)]),
        # At the start and at the end of the file
        ([0.5, 0, 0, 0, 0, 0, 0, 0.25, 0.5], [(0, 1, 0.5), (7.5, 9, 0.5)]),
        ([float("nan")] * 9, []),
    ],
)
def test_hysteresis(column, expected):
    expected = [(start, end, "Siren", p) for start, end, p in expected]
    assert found([column, ZERO], low=0.25) == expected


@pytest.mark.parametrize("saturation", [1.0, 0.5, 0.25])
@pytest.mark.parametrize("length", [2.5, 4.0])
def test_edges_are_exact_for_shares_of_windows(saturation, length):
    """With saturation < 1, a part of the window suffices for probability 1."""
    window, start = 2.0, 3.1
    times = np.arange(0, 20.01, 0.0625)
    overlap = np.minimum(times + 1, start + length)
    overlap = overlap - np.maximum(times - 1, start)
    probs = (overlap / window / saturation).clip(0, 1)[:, None]
    for threshold, low in ((0.5, None), (0.75, 0.125), (0.5, 0.5)):
        options = {"threshold": threshold, "low": low}
        [event] = find_events(times, probs, 20.0, window, **options)
        # If both are equal, the slowest rise is assumed
        error = 1e-4 if threshold != low else window / 2
        assert event.start == pytest.approx(start, abs=error)
        assert event.end == pytest.approx(start + length, abs=error)
        assert event.probability == pytest.approx(1.0)


def test_classes_have_thresholds_of_their_own():
    column = [0, 0, 0.25, 0.5, 1.0, 0.5, 0.25, 0, 0]
    for low in (None, 0.25, np.array([0.25, 0.125])):
        both = found([column] * 2, threshold=np.array([1.0, 0.5]), low=low)
        alone = []
        for number, threshold in enumerate((1.0, 0.5)):
            columns = [ZERO, ZERO]
            columns[number] = column
            own = low[number] if isinstance(low, np.ndarray) else low
            alone += found(columns, threshold=threshold, low=own)
        assert len(both) == 2 and sorted(both) == sorted(alone)


def test_tags_that_reach_their_own_threshold():
    """Classes below theirs take no place among the top_k."""
    probs, labels = np.array([0.9, 0.3, 0.8, 0.7]), list("abcd")
    limits = np.array([0.95, 0.3, 0.8, 0.6])

    def names(threshold, top_k=5):
        timeline = Timeline(None, None, probs, 1.0, 1.0, labels)
        tags = timeline.tags(top_k, threshold)
        assert [t.probability for t in tags] == sorted(
            (t.probability for t in tags), reverse=True
        )
        return "".join(tag.label for tag in tags)

    assert names(limits) == "cdb" and names(limits, 2) == "cd"
    assert names(None) == names(0.0) == "acdb" and names(0.8) == "ac"
    assert names(np.full(4, 0.75)) == names(0.75) == "ac"
    assert names(np.ones(4)) == ""


def test_moving_average_is_that_of_numpy():
    probs = np.random.default_rng(0).random((50, 2)).astype(np.float32)
    found = moving_average(probs, 5)
    for column, row in zip(probs.T, found.T):
        expected = np.convolve(column, np.full(5, 0.2), "valid")
        np.testing.assert_allclose(row[2:-2], expected, atol=1e-6)
    np.testing.assert_allclose(found[0], probs[:3].mean(0), atol=1e-6)
    np.testing.assert_allclose(found[-1], probs[-3:].mean(0), atol=1e-6)


def test_targets_of_time_steps():
    times = np.arange(5) + 0.5
    events = [(1.0, 3.0, 0), (4.6, 4.7, 1)]  # the second between two centres
    targets = step_targets(times, events, 2)
    assert targets.T.tolist() == [[0, 1, 1, 0, 0], [0, 0, 0, 0, 1]]


def test_gaps_are_merged_before_short_events_go():
    #        0-1 s, 2-3 s       5-6 s
    column = [1.0, 0, 1.0, 0, 0, 1.0, 0, 0, 0]
    apart = found([column, ZERO])
    assert len(apart) == 3
    gaps = [b[0] - a[1] for a, b in zip(apart, apart[1:])]
    assert gaps[0] < 1.0 < gaps[1]
    first, last = found([column, ZERO], merge_gap=1.0)
    assert first[:2] == (apart[0][0], apart[1][1])
    assert last == apart[2]
    assert found([column, ZERO], merge_gap=1.0, min_duration=2.0) == [first]
    assert found([column, ZERO], min_duration=2.0) == []
    # Another class in between does not matter
    both = found([column, np.roll(column, 1)], merge_gap=1.0)
    assert [event[2] for event in both].count("Siren") == 2
