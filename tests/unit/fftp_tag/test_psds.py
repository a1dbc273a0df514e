"""Tests of PSDS: by hand, and against sed_scores_eval.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses

import numpy as np
import pytest

from fftp_tag.score.events import by_label
from fftp_tag.score.psds import MAX_RATE, find_runs, psds
from fftp_tag.tag.events import EventFinder, Timeline
from speechbrain_fftp.dataio.model_info import default_rules

LABELS = ["a", "b", "c"]


def make_timelines(changes):
    """Clips with events of three classes, and what a model says of them."""
    rng = np.random.default_rng(0)
    timelines, truth = {}, {}
    for number in range(40):
        events, target = [], np.zeros((100, 3))
        for c, label in enumerate(LABELS):
            if rng.random() < 0.7:
                start = rng.uniform(0, 7)
                end = start + rng.uniform(0.3, 3)
                events.append((round(start, 3), round(end, 3), label))
                target[int(10 * start) : int(10 * end), c] = 1
        noise = rng.standard_normal((104, 3))
        noise = sum(noise[k : k + 100] for k in range(5))
        logits = 4 * target + 1.5 * np.roll(target, 1, 1) - 2.5 + noise / 2
        probs = (1 / (1 + np.exp(-logits))).round(2).astype(np.float32)
        rules = dataclasses.replace(default_rules(3), **changes)
        clip_probs = probs.max(0) * (0.8 if number % 3 == 0 else 1)
        clip = f"{number}"
        timelines[clip] = Timeline(
            np.arange(100) / 10 + 0.05, probs, clip_probs, 10.0, LABELS, rules
        )
        truth[clip] = by_label(events)
    return timelines, truth


LEARNT = {
    "low": np.full(3, 0.2, np.float32),
    "merge_gap": np.full(3, 0.35),
    "min_duration": np.full(3, 0.25),
    "is_learnt": True,
}


# By sed_scores_eval 0.0.4: for learnt rules, of events with their peaks as
# scores, which are 0 elsewhere
@pytest.mark.parametrize(
    "changes, expected",
    [
        ({}, (0.24456, 0.15926, 0.47962, 0.35176)),
        (LEARNT, (0.34173, 0.26423, 0.56539, 0.39981)),
    ],
)
def test_psds_is_that_of_sed_scores_eval(changes, expected):
    found = psds(*make_timelines(changes), LABELS)
    names = [f"PSDS{n}_alpha_st_{alpha}" for n in (1, 2) for alpha in (0, 1)]
    assert found == pytest.approx(dict(zip(names, expected)), abs=1e-5)


def test_runs_are_the_events_at_each_threshold():
    rng = np.random.default_rng(0)
    for _ in range(20):
        probs = rng.integers(0, 8, 30) / 8  # with many ties
        runs = find_runs(probs)
        for threshold in np.arange(1, 17) / 16:
            rules = default_rules(1).replace(threshold)
            rules = dataclasses.replace(rules, low=rules.high)
            finder = EventFinder(["a"], rules)
            events = []
            for step, prob in enumerate(probs):
                events += finder.update(step, step + 1, np.array([prob]))
            expected = [(x.start, x.end) for x in events + finder.finish()]
            found = [
                (first, last + 1)
                for first, last, until, level in runs
                if until < threshold <= level
            ]
            assert sorted(found) == expected


def test_one_false_event_by_hand():
    """One class, so that there is nothing to confuse."""
    probs = np.zeros((100, 1), np.float32)
    probs[10:20], probs[50:60], probs[80:90] = 0.9, 0.6, 0.3
    times = np.arange(100) / 10 + 0.05
    rules = default_rules(1)
    clip = Timeline(times, probs, probs.max(0), 10.0, ["a"], rules)
    truth = {"x": {"a": np.array([[1.0, 2.0], [8.0, 9.0]])}}
    found = psds({"x": clip}, truth, ["a"])
    assert set(found.values()) == {0.5}  # one in ten seconds is too many
    hour = dataclasses.replace(clip, duration=3600.0)
    found = psds({"x": hour}, truth, ["a"])
    # One of two without a false event, then both
    expected = 0.5 * 1 / MAX_RATE + 1.0 * (1 - 1 / MAX_RATE)
    assert list(found.values()) == pytest.approx([expected] * 4)
