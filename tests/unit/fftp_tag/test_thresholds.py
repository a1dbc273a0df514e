"""Tests of learnt thresholds and rules of events, against brute force.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import itertools

import numpy as np
import pytest

from fftp_tag.score.events import overlap_scores, pair_events
from fftp_tag.score.thresholds import (
    GAPS,
    MINIMA,
    THRESHOLDS,
    central_maximum,
    learn_from_clips,
    learn_from_events,
    learn_thresholds,
    with_rules,
)
from fftp_tag.tag.events import Timeline
from speechbrain_fftp.dataio.model_info import default_rules


def f1_by_counting(true, found):
    hits = (true & found).sum()
    return 2 * hits / max(true.sum() + found.sum(), 1)


def few_positives(seed, decimals):
    """Classes with 0 to 8 positive clips of 60, and scores in 0..1."""
    rng = np.random.default_rng(seed)
    targets = np.zeros((60, 9), np.float32)
    for number in range(9):
        targets[rng.permutation(60)[:number], number] = 1.0
    scores = 0.6 * rng.random((60, 9)) + 0.3 * targets
    return targets, scores.astype(np.float32).round(decimals)


@pytest.mark.parametrize("decimals", [1, 7])  # with many ties, and without
def test_thresholds_are_the_best_of_all_cuts(decimals):
    targets, scores = few_positives(0, decimals)
    thresholds = learn_thresholds(targets, scores, min_positives=4)
    assert (thresholds[:4] == 0.5).all()
    for number, limit in enumerate(thresholds[4:], start=4):
        true, column = targets[:, number] > 0, scores[:, number]
        f1 = f1_by_counting(true, column >= limit)
        cuts = [x for x in np.unique(column) if x > 0]
        scored = [f1_by_counting(true, column >= cut) for cut in cuts]
        assert f1 == pytest.approx(max(scored))
        # Half way from the highest of the best cuts to the next lower score
        cut = max(x for x, y in zip(cuts, scored) if y > max(scored) - 1e-9)
        lower = max([x for x in column if x < cut], default=0)
        assert limit == pytest.approx((cut + lower) / 2, abs=1e-7)
        assert lower < limit < cut


def test_thresholds_by_hand():
    def learn(*pairs):
        targets, scores = np.array(pairs, np.float32).T[:, :, None]
        return learn_thresholds(targets, scores, 1)[0]

    assert learn((1, 0.75), (0, 0.5)) == 0.625
    # Down to 0, where all clips are tagged; but never 0 itself
    assert learn((1, 0.5), (1, 0.5)) == 0.25
    assert 0 < learn((1, 0.0), (1, 0.0), (0, 0.0)) < 1e-30
    assert learn((1, 0.0), (1, 0.0), (1, 0.0), (1, 0.5), (0, 0)) == 0.25
    # F1 of 2/3 at 0.9 and at 0.3: the higher one
    assert learn((1, 0.9), (0, 0.5), (1, 0.3), (0, 0.4)) == pytest.approx(0.7)
    # Nothing lies between neighbours in float32
    low = np.float32(0.3)
    high = np.nextafter(low, np.float32(1))
    assert learn((1, high), (0, low)) == high


LABELS = ["Dog", "Siren", "Bell"]


def random_clips(n_clips=16):
    """Timelines of noise with broken events, and the true events.

    Bells ring in two clips only.
    """
    rng = np.random.default_rng(0)
    times = (np.arange(80) + 0.5) * 0.1
    timelines, truth = {}, {}
    for number in range(n_clips):
        probs = 0.5 * rng.random((80, 3)) ** 4
        truth[f"{number}"] = events = []
        for c in {number % 2, 2} if number < 2 else {number % 2}:
            start = rng.uniform(0, 4)
            end = start + rng.uniform(0.5, 3)
            events.append((start, end, LABELS[c]))
            is_inside = (start <= times) & (times < end)
            is_gap = rng.random(80) < 0.3
            probs[is_inside & ~is_gap, c] = rng.uniform(0.35, 0.9)
        probs = probs.astype(np.float32)
        timelines[f"{number}"] = Timeline(
            times, probs, probs.max(0), 8.0, LABELS, default_rules(3)
        )
    return timelines, truth


def overlap_f1(timelines, truth, rules, label):
    paired = pair_events(with_rules(timelines, rules), truth, [label])
    return overlap_scores(paired)["overlap_F1"]


def test_rules_of_events_are_the_best_of_the_grid():
    """Events are found again by ``Timeline.events`` for each try."""
    timelines, truth = random_clips()
    rules = learn_from_events(timelines, truth, LABELS)
    assert rules.is_learnt
    for c, label in enumerate(LABELS[:2]):
        scores = {
            tried: overlap_f1(
                timelines, truth, default_rules(3).replace(*tried), label
            )
            for tried in itertools.product(THRESHOLDS, GAPS, MINIMA)
        }
        chosen = rules.threshold[c], rules.merge_gap[c], rules.min_duration[c]
        [found] = [x for x in scores if chosen == pytest.approx(x)]
        assert scores[found] == max(scores.values())
        assert scores[found] > scores[0.5, 0.0, 0.0]
    # Too few bells
    assert rules.threshold[2] == 0.5
    assert rules.merge_gap[2] in rules.merge_gap[:2]
    assert rules.min_duration[2] in rules.min_duration[:2]


def test_of_equal_rules_those_in_the_middle_are_chosen():
    scores = np.array([[0, 1, 1, 1], [0, 1, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0]])
    assert central_maximum(scores).tolist() == [1, 2]
    scores[0, 0] = 2
    assert central_maximum(scores).tolist() == [0, 0]


def test_minima_are_the_longest_that_lose_no_clip():
    timelines, truth = random_clips()
    targets = np.array(
        [[any(x == y for *_, y in e) for x in LABELS] for e in truth.values()],
        np.float32,
    )
    probs = np.stack([found.clip_probs for found in timelines.values()])
    rules = learn_from_clips(targets, probs, timelines)
    assert rules.threshold.tolist() == learn_thresholds(targets, probs).tolist()
    assert rules.merge_gap.tolist() == [3.0] * 3
    assert rules.low == pytest.approx([0.1, 0.1, 0.5])
    anything = dataclasses.replace(rules, high=rules.low)
    for c, label in enumerate(LABELS[:2]):
        scores = []
        for minimum in MINIMA:
            tried = anything.replace(min_duration=minimum)
            found = [
                any(event.label == label for event in timeline.events())
                for timeline in with_rules(timelines, tried).values()
            ]
            is_true = targets[:, c] > 0
            scores.append(f1_by_counting(is_true, np.array(found)))
        best = [x for x, f1 in zip(MINIMA, scores) if f1 == max(scores)]
        assert rules.min_duration[c] == max(best)
    assert 0 < rules.min_duration[:2].max()
    assert rules.min_duration[2] == 0 and rules.high[2] == 0.5  # too few bells


def test_events_are_as_probable_as_tells_clips_apart():
    """``high`` is between the peaks of long sounds in clips with and without."""
    times = np.arange(100) / 10 + 0.05
    timelines, targets = {}, []
    for number in range(20):
        is_true = number % 2
        probs = np.zeros((100, 1), np.float32)
        probs[10:40] = 0.2
        probs[20] = 0.8 + number / 100 if is_true else 0.5 + number / 100
        probs[90] = 0.99  # shorter than what is learnt
        timelines[f"{number}"] = Timeline(
            times, probs, probs.max(0), 10.0, ["Dog"], default_rules(1)
        )
        targets.append([is_true])
    rules = learn_from_clips(
        np.array(targets), np.full((20, 1), 0.3), timelines
    )
    assert rules.high == pytest.approx([(0.68 + 0.81) / 2])
    for number, timeline in enumerate(with_rules(timelines, rules).values()):
        events = timeline.events()
        assert len(events) == number % 2
        if events:
            assert events[0].start == pytest.approx(1.0)
            assert events[0].end == pytest.approx(4.0)


def test_nothing_is_learnt_of_few_positives():
    timelines, truth = random_clips(n_clips=4)
    assert not learn_from_events(timelines, truth, LABELS).is_learnt
    targets, probs = np.ones((4, 3)), np.full((4, 3), 0.3)
    rules = learn_from_clips(targets, probs, timelines)
    assert not rules.is_learnt and (rules.threshold == 0.5).all()


def test_models_of_clips_learn_thresholds_only():
    targets = np.repeat([[0.0], [1.0]], 5, 0)
    rules = learn_from_clips(targets, 0.2 + 0.2 * targets, {})
    assert rules.is_learnt and rules.threshold == pytest.approx([0.3])
    assert rules.merge_gap.tolist() == rules.min_duration.tolist() == [0.0]
