"""Tests of tags and events, against an independent search for runs.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses

import numpy as np
import pytest

from fftp_tag.errors import InputError
from fftp_tag.model.info import default_rules
from fftp_tag.tag.events import Event, Timeline, rank_tags

LABELS = ["a", "b", "c"]


def make_rules(threshold=0.5, merge_gap=0.0, min_duration=0.0):
    """Rules of three classes."""
    return default_rules(3).replace(threshold, merge_gap, min_duration)


def make_timeline(probs, rules, seed=0):
    """A timeline with centres at random eighths of a second.

    So pauses and events are often exactly as long as a rule says.
    """
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.integers(1, 9, len(probs))) / 8
    duration = times[-1] + 0.25
    return Timeline(times, probs, probs.max(0), duration, LABELS, rules)


def by_hand(timeline):
    """All events: each as a set of predictions that grows while it may."""
    times, rules, found = timeline.times, timeline.rules, []
    edges = [0.0, *((times[1:] + times[:-1]) / 2), timeline.duration]
    for c, label in enumerate(LABELS):
        is_heard = timeline.probs[:, c] >= np.float32(rules.low[c])
        runs = []
        for t in np.flatnonzero(is_heard).tolist():
            gap = edges[t] - edges[runs[-1][-1] + 1] if runs else np.inf
            if gap == 0 or gap < rules.merge_gap[c]:
                runs[-1].append(t)
            else:
                runs.append([t])
        for run in runs:
            start, end = edges[run[0]], edges[run[-1] + 1]
            peak = max(timeline.probs[run, c])
            is_long = end - start >= rules.min_duration[c]
            if is_long and peak >= np.float32(rules.high[c]):
                found.append(Event(start, end, label, float(peak)))
    return sorted(found, key=order)


def order(event):
    return event.start, event.end, event.label


@pytest.mark.parametrize("n_steps", [1, 2, 7, 200])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"merge_gap": np.array([0.0, 0.75, 2.5])},
        {
            "threshold": np.array([0.3, 0.6, 0.8]),
            "merge_gap": np.array([1.125, 0.375, 3.0]),
            "min_duration": np.array([1.25, 3.0, 0.375]),
        },
    ],
    ids=["default", "gaps", "all"],
)
def test_events_are_those_found_by_hand(options, n_steps):
    rules = make_rules(**options)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        # Often equal to a threshold
        probs = (rng.integers(0, 21, (n_steps, 3)) / 20).astype(np.float32)
        for low in (rules.low, rules.low / 2):
            used = dataclasses.replace(rules, low=low)
            timeline = make_timeline(probs, used, seed)
            found = timeline.events()
            assert sorted(found, key=order) == by_hand(timeline)
            times = [(event.start, event.end) for event in found]
            assert times == sorted(times)
        # The same where rules are given, but that events last as in the model
        other = make_timeline(probs, make_rules(0.4, 1.0, 1.0), seed)
        low = np.minimum(other.rules.low, rules.threshold)
        used = dataclasses.replace(rules, low=low)
        given = {"merge_gap": 0.0, "min_duration": 0.0, "threshold": 0.5}
        found = other.events(**{**given, **options})
        assert found == make_timeline(probs, used, seed).events()


def test_a_probability_equal_to_its_threshold_is_heard():
    """In float32, in which 0.3 and 0.7 differ from Python's."""
    values = np.array([0.3, 0.7, 1.0])
    probs = values.astype(np.float32)[None]
    timeline = make_timeline(probs, make_rules())
    assert len(timeline.events(values)) == len(timeline.tags(3, values)) == 3
    above = np.nextafter(probs[0], np.float32(2)).clip(0, 1)
    assert [event.label for event in timeline.events(above)] == ["c"]


def test_the_class_of_an_event_is_a_tag_of_the_file():
    rules = dataclasses.replace(make_rules([0.1, 0.3, 0.9]), is_learnt=True)
    probs = np.ones((4, 3), np.float32)
    timeline = dataclasses.replace(
        make_timeline(probs, rules), clip_probs=np.float32([0.2, 0.2, 0.9])
    )
    for options, expected in (({}, "ac"), ({"threshold": 0.2}, "abc")):
        tags = {tag.label for tag in timeline.tags(**options)}
        events = [event.label for event in timeline.events(**options)]
        assert set(events) == tags == set(expected)
    # Thresholds that are not learnt are no default of tags
    rules = dataclasses.replace(rules, is_learnt=False)
    assert len(dataclasses.replace(timeline, rules=rules).tags()) == 3


def test_tags_that_reach_their_own_threshold():
    """Classes below theirs take no place among the top_k."""
    probs = np.array([0.9, 0.3, 0.8, 0.7], np.float32)
    limits = np.array([0.95, 0.3, 0.8, 0.6])

    def names(*options):
        tags = rank_tags(probs, "abcd", *options)
        return "".join(tag.label for tag in tags)

    assert names(5, limits) == "cdb" and names(2, limits) == "cd"
    assert names() == "acdb" and names(1) == "a" and names(5, 0.8) == "ac"


def test_rules_out_of_range():
    for options in ({"threshold": [0.5, 0.5, 2.0]}, {"merge_gap": -1.0}):
        with pytest.raises(InputError, match=next(iter(options))):
            make_rules().replace(**options)
    with pytest.raises(InputError, match="top_k"):
        rank_tags(np.zeros(3), LABELS, top_k=0)
