"""Tests of tags and events, against an independent search for runs.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses

import numpy as np
from hypothesis import (
    given,
    settings,
    strategies as st,
)

from fftp_tag.model.info import default_rules
from fftp_tag.tag.events import Event, Timeline

LABELS = ["a", "b", "c"]


def make_rules(threshold=0.5, merge_gap=0.0, min_duration=0.0):
    """Rules of three classes."""
    return default_rules(3).replace(threshold, merge_gap, min_duration)


def make_timeline(times, probs, rules):
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


def of_classes(values):
    return st.tuples(values, values, values).map(np.array)


# Pauses and events are often exactly as long as a rule says, and probabilities
# equal to a threshold
SECONDS = of_classes(st.integers(0, 24).map(lambda n: n / 8))
PROBS = of_classes(st.integers(0, 20).map(lambda n: n / 20))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    steps=st.lists(st.tuples(st.integers(1, 8), PROBS), min_size=1),
    threshold=PROBS,
    gap=SECONDS,
    shortest=SECONDS,
    lower=st.sampled_from([1, 2]),
)
def test_events_are_those_found_by_hand(steps, threshold, gap, shortest, lower):
    lengths, probs = zip(*steps)
    times, probs = np.cumsum(lengths) / 8, np.array(probs, np.float32)
    rules = make_rules(threshold, gap, shortest)
    rules = dataclasses.replace(rules, low=np.maximum(rules.low / lower, 0.05))
    timeline = make_timeline(times, probs, rules)
    found = timeline.events()
    assert sorted(found, key=order) == by_hand(timeline)
    starts = [(event.start, event.end) for event in found]
    assert starts == sorted(starts)
    # The same where rules are given, but that events last as in the model
    of_model = make_timeline(times, probs, make_rules(0.4, 1.0, 1.0))
    low = np.minimum(np.float32(0.4), rules.threshold)
    timeline = make_timeline(times, probs, dataclasses.replace(rules, low=low))
    assert of_model.events(threshold, gap, shortest) == timeline.events()


def test_a_probability_equal_to_its_threshold_is_heard():
    """In float32, in which 0.3 and 0.7 differ from Python's."""
    values = np.array([0.3, 0.7, 1.0])
    probs = values.astype(np.float32)[None]
    timeline = make_timeline(np.array([0.5]), probs, make_rules())
    assert len(timeline.events(values)) == len(timeline.tags(3, values)) == 3
    above = np.nextafter(probs[0], np.float32(2)).clip(0, 1)
    assert [event.label for event in timeline.events(above)] == ["c"]


def test_the_class_of_an_event_is_a_tag_of_the_file():
    rules = dataclasses.replace(make_rules([0.1, 0.3, 0.9]), is_learnt=True)
    timeline = make_timeline(np.arange(4.0), np.ones((4, 3)), rules)
    timeline = dataclasses.replace(
        timeline, clip_probs=np.float32([0.2, 0.2, 0.9])
    )
    for options, expected in (({}, "ac"), ({"threshold": 0.2}, "abc")):
        tags = {tag.label for tag in timeline.tags(**options)}
        events = {event.label for event in timeline.events(**options)}
        assert events == tags == set(expected)
    # Thresholds that are not learnt are those of events alone: a sound in a
    # window may be improbable in the whole file
    rules = dataclasses.replace(make_rules(0.5), is_learnt=False)
    timeline = dataclasses.replace(timeline, rules=rules)
    assert len(timeline.tags()) == len(timeline.events()) == 3
    assert len(timeline.events(threshold=0.5)) == 3
