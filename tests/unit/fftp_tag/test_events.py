"""Tests of tags and events, against an independent search for runs.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses

import numpy as np
import pytest

from fftp_tag.tag.events import Event, EventFinder, Timeline, rank_tags
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.dataio.model_info import default_rules

LABELS = ["a", "b", "c"]


def make_rules(threshold=0.5, merge_gap=0.0, min_duration=0.0):
    """Rules of three classes."""
    return default_rules(3).replace(threshold, merge_gap, min_duration)


def make_timeline(probs, rules, seed=0):
    """A timeline with centres at random times."""
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(0.1, 1.0, len(probs)))
    duration = times[-1] + 0.3
    return Timeline(times, probs, probs.max(0), duration, LABELS, rules)


def edges_of(timeline):
    times = timeline.times
    return [0.0, *((times[1:] + times[:-1]) / 2), timeline.duration]


def by_hand(timeline, rules):
    """All events: each as a set of time steps that grows while it may."""
    edges, found = edges_of(timeline), []
    for c, label in enumerate(LABELS):
        low = np.float32(rules.low[c])
        is_heard = [np.float32(p[c]) >= low for p in timeline.probs]
        runs = []
        for t, heard in enumerate(is_heard):
            if heard and t > 0 and is_heard[t - 1]:
                runs[-1].append(t)
            elif heard:
                runs.append([t])
        joined = []
        for run in runs:
            gap = edges[run[0]] - edges[joined[-1][-1] + 1] if joined else 0
            if joined and gap < rules.merge_gap[c]:
                joined[-1] += run
            else:
                joined.append(run)
        for run in joined:
            start, end = edges[run[0]], edges[run[-1] + 1]
            peak = max(timeline.probs[t, c] for t in run)
            is_long = end - start >= rules.min_duration[c]
            if is_long and peak >= np.float32(rules.high[c]):
                found.append(Event(start, end, label, float(peak)))
    return sorted(found, key=order)


def order(event):
    return event.start, event.end, event.label


RULES = {
    "default": {},
    "gaps": {"merge_gap": np.array([0.0, 0.7, 2.5])},
    "all": {
        "threshold": np.array([0.3, 0.6, 0.8]),
        "merge_gap": np.array([1.1, 0.4, 3.0]),
        "min_duration": np.array([1.2, 3.0, 0.4]),
    },
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("n_steps", [1, 2, 7, 200])
def test_events_are_those_found_by_hand(name, n_steps):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        # Often equal to a threshold
        probs = (rng.integers(0, 21, (n_steps, 3)) / 20).astype(np.float32)
        rules = make_rules(**RULES[name])
        hysteresis = dataclasses.replace(rules, low=rules.low / 2)
        timeline = make_timeline(probs, hysteresis, seed)
        found = sorted(timeline.events(), key=order)
        assert found == by_hand(timeline, hysteresis)
        timeline = make_timeline(probs, rules, seed)
        expected = by_hand(timeline, rules)
        found = timeline.events()
        assert sorted(found, key=order) == expected
        times = [(event.start, event.end) for event in found]
        assert times == sorted(times)
        # The same where rules are given, and other ones the model's
        other = make_timeline(probs, make_rules(0.4, 1.0, 1.0), seed)
        given = {"merge_gap": 0.0, "min_duration": 0.0, "threshold": 0.5}
        assert other.events(**{**given, **RULES[name]}) == found
        # And step by step, silent steps included
        edges = edges_of(timeline)
        finder = EventFinder(LABELS, rules)
        streamed = []
        for t, row in enumerate(probs):
            streamed += finder.update(edges[t], edges[t + 1], row)
            for event in finder.going_on().values():
                assert event.end is None and event.start <= edges[t]
        streamed += finder.finish()
        assert sorted(streamed, key=order) == expected
        assert not finder.going_on()


def test_an_event_begins_when_it_is_probable_enough():
    rules = dataclasses.replace(make_rules(), low=np.full(3, 0.1))
    finder = EventFinder(LABELS, rules)
    begun = []
    for start, prob in enumerate([0.2, 0.4, 0.6, 0.2]):
        assert not finder.update(start, start + 1, np.array([prob, 0, 0]))
        begun.append([event.start for event in finder.going_on().values()])
    assert begun == [[], [], [0], [0]]
    assert finder.finish() == [Event(0, 4, "a", 0.6)]


def test_an_event_ends_as_soon_as_none_can_continue_it():
    finder = EventFinder(LABELS, make_rules(0.5, merge_gap=2.0))
    loud, quiet = np.array([0.9, 0, 0]), np.zeros(3)
    assert finder.update(0, 1, loud) == []
    assert finder.update(1, 2, quiet) == []
    assert finder.update(2, 3, quiet) == [Event(0, 1, "a", 0.9)]


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
    rules = dataclasses.replace(rules, low=np.full(3, 0.1), high=np.ones(3))
    probs = np.ones((4, 3), np.float32)
    timeline = dataclasses.replace(
        make_timeline(probs, rules), clip_probs=np.float32([0.2, 0.2, 0.9])
    )
    for options, expected in (({}, "ac"), ({"threshold": 0.2}, "abc")):
        tags = {tag.label for tag in timeline.tags(**options)}
        events = [event.label for event in timeline.events(**options)]
        assert set(events) == tags == set(expected)
    unlearnt = dataclasses.replace(timeline, rules=make_rules())
    assert [event.label for event in unlearnt.events()] == ["c"]


def test_tags_that_reach_their_own_threshold():
    """Classes below theirs take no place among the top_k."""
    probs = np.array([0.9, 0.3, 0.8, 0.7], np.float32)
    limits = np.array([0.95, 0.3, 0.8, 0.6])

    def names(*options):
        tags = rank_tags(probs, "abcd", *options)
        return "".join(tag.label for tag in tags)

    assert names(5, limits) == "cdb" and names(2, limits) == "cd"
    assert names() == "acdb" and names(1) == "a" and names(5, 0.8) == "ac"
    assert names(5, np.ones(4)) == ""
    assert [x.label for x in rank_tags(np.ones(3), LABELS)] == LABELS


def test_learnt_thresholds_are_the_default_of_tags():
    probs = np.array([[0.9, 0.3, 0.1]], np.float32)
    rules = make_rules(np.array([0.95, 0.2, 0.1]))
    learnt = dataclasses.replace(rules, is_learnt=True)
    for used, expected in ((rules, "abc"), (learnt, "bc")):
        timeline = make_timeline(probs, used)
        assert "".join(tag.label for tag in timeline.tags()) == expected
        assert [tag.label for tag in timeline.tags(threshold=0.5)] == ["a"]
        assert [event.label for event in timeline.events()] == ["b", "c"]


def test_rules_out_of_range():
    for options in ({"threshold": [0.5, 0.5, 2.0]}, {"merge_gap": -1.0}):
        with pytest.raises(InputError, match=next(iter(options))):
            make_rules().replace(**options)
    with pytest.raises(InputError, match="top_k"):
        rank_tags(np.zeros(3), LABELS, top_k=0)
