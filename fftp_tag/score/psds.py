"""PSDS, the area below a curve of found and false events.

It is exact: the curve has a point for each threshold at which an event appears
or changes. See https://arxiv.org/abs/1910.08440 and, for exactness,
https://arxiv.org/abs/2201.13148.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
from collections import defaultdict
from typing import Dict, List, NamedTuple, Tuple

import numpy as np

from fftp_tag.tag.events import Timeline

CONFUSED = 0.3  # share of a false event within events of another class
MAX_RATE = 100.0  # false events per hour, up to which the area counts
LOWEST = 0.01  # threshold
ROUNDING = 1e-9


class Scenario(NamedTuple):
    """A scenario of DCASE."""

    precision: float  # minimum share of a found event within true ones
    coverage: float  # minimum share of a true event within found ones
    confusion_cost: float  # weight of taking one class for another


SCENARIOS = {
    "PSDS1": Scenario(0.7, 0.7, 0.0),  # exact times
    "PSDS2": Scenario(0.1, 0.1, 0.5),  # few confusions
}


class Sweep(NamedTuple):
    """The events of a class in a clip that any threshold finds.

    An event is found by thresholds above ``until``, up to ``peak``.
    """

    times: np.ndarray  # start and end in seconds, [N, 2]
    until: np.ndarray  # [N]
    peak: np.ndarray  # [N]


Times = Dict[str, np.ndarray]  # starts and ends [M, 2] of events, by label


def psds(
    timelines: Dict[str, Timeline], truth: Dict[str, Times], labels: List[str]
) -> Dict[str, float]:
    """PSDS of two scenarios, each with and without a cost of instability.

    With ``alpha_st`` 1, the standard deviation over classes is subtracted
    from the mean rate of found events; with 0, it is not.

    Arguments
    ---------
    timelines : dict
        Timelines by clip id.
    truth : dict
        True events by clip id. Those of a class do not overlap.
    labels : list of str
        Classes with true events; others do not count.
    """
    hours = sum(x.duration for x in timelines.values()) / 3600
    swept = {clip: sweep(x, labels) for clip, x in timelines.items()}
    scores = {}
    for name, scenario in SCENARIOS.items():
        curves = find_curves(swept, truth, labels, hours, scenario)
        for alpha in (0, 1):
            scores[f"{name}_alpha_st_{alpha}"] = area(curves, alpha)
    return scores


def sweep(timeline: Timeline, labels: List[str]) -> Dict[str, Sweep]:
    """The events of some classes that any threshold finds, by label.

    Learnt rules say where an event begins and ends, and the threshold what its
    probability must reach. Without learnt rules, its probability reaches the
    threshold throughout.
    """
    if timeline.rules.is_learnt:
        no_limit = np.zeros_like(timeline.rules.threshold)
        rules = dataclasses.replace(
            timeline.rules, threshold=no_limit, high=no_limit
        )
        rows = [
            (event.label, event.start, event.end, 0.0, event.probability)
            for event in dataclasses.replace(timeline, rules=rules).events()
        ]
    else:
        edges = timeline.edges
        rows = [
            (timeline.labels[c], edges[first], edges[last + 1], until, level)
            for c in np.flatnonzero(timeline.clip_probs >= LOWEST)
            for first, last, until, level in find_runs(timeline.probs[:, c])
        ]
    found = defaultdict(list)
    for label, *row in rows:
        found[label].append(row)
    sweeps = {}
    for label in set(labels) & found.keys():
        table = np.array(found[label])
        # An event is one of a tag of the clip
        of_clip = timeline.clip_probs[timeline.labels.index(label)]
        peak = np.minimum(table[:, 3], of_clip)
        exists = peak > table[:, 2]
        sweeps[label] = Sweep(table[exists, :2], table[exists, 2], peak[exists])
    return sweeps


def find_runs(probs: np.ndarray) -> List[Tuple[int, int, float, float]]:
    """First and last step of the runs that thresholds find in ``[T]``.

    Each with the threshold above which it is found, and the highest that finds
    it.

    Example
    -------
    >>> find_runs(np.array([0.25, 0.75, 0.5]))
    [(1, 1, 0.5, 0.75), (1, 2, 0.25, 0.5), (0, 2, 0.0, 0.25)]
    """
    runs = []
    rising: List[Tuple[int, float]] = []  # first step and level of open runs
    for step, prob in enumerate([*probs.tolist(), 0.0]):
        first = step
        while rising and rising[-1][1] > prob:
            first, level = rising.pop()
            below = rising[-1][1] if rising else 0.0
            runs.append((first, step - 1, max(below, prob), level))
        if prob >= LOWEST and not (rising and rising[-1][1] == prob):
            rising.append((first, prob))
    return runs


def find_curves(
    swept: Dict[str, Dict[str, Sweep]],
    truth: Dict[str, Times],
    labels: List[str],
    hours: float,
    scenario: Scenario,
) -> List[np.ndarray]:
    """The curve of each class, ``[2, N]``.

    That is the effective rate of false events, ascending, and the highest share
    of true events that are found up to this rate.
    """
    nothing = np.zeros((0, 2))
    of_class = {
        label: np.concatenate([x.get(label, nothing) for x in truth.values()])
        for label in labels
    }
    n_others = max(len(labels) - 1, 1)
    costs = {
        label: scenario.confusion_cost / n_others * 3600 / np.diff(events).sum()
        for label, events in of_class.items()
    }
    # Thresholds, and changes of the number of true events that are found and of
    # the rate of false events, [K, 2]
    hits = {label: [nothing] for label in labels}
    errors = {label: [nothing] for label in labels}
    for clip, sweeps in swept.items():
        for label, found in sweeps.items():
            true = truth[clip].get(label, nothing)
            length = np.diff(found.times)[:, 0]
            within = overlaps(found.times, true)
            is_right = within.sum(1) >= scenario.precision * length - ROUNDING
            rate = np.full(len(length), 1 / hours)
            for other, times in truth[clip].items():
                if other in costs and other != label:
                    share = overlaps(found.times, times).sum(1) / length
                    rate += costs[other] * (share >= CONFUSED - ROUNDING)
            rate[is_right] = 0.0
            errors[label].append(appearing(found, rate))
            for column, (start, end) in zip(within.T, true):
                covered = appearing(found, column * is_right)
                covered = covered[np.argsort(-covered[:, 0], kind="stable")]
                least = scenario.coverage * (end - start) - ROUNDING
                is_found = covered[:, 1].cumsum() >= least
                covered[:, 1] = np.diff(is_found.astype(int), prepend=0)
                hits[label].append(covered)
    return [
        make_curve(
            np.concatenate(hits[label]),
            np.concatenate(errors[label]),
            len(of_class[label]),
        )
        for label in labels
    ]


def overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Seconds of intersection of events ``[N, 2]`` and ``[M, 2]``: [N, M]."""
    starts = np.maximum(first[:, None, 0], second[:, 0])
    ends = np.minimum(first[:, None, 1], second[:, 1])
    return np.maximum(ends - starts, 0.0)


def appearing(found: Sweep, values: np.ndarray) -> np.ndarray:
    """Thresholds, and changes of the sum of values of the found events."""
    levels = np.concatenate([found.peak, found.until])
    return np.stack([levels, np.concatenate([values, -values])], 1)


def make_curve(hits: np.ndarray, errors: np.ndarray, n_true: int) -> np.ndarray:
    """A curve from changes at thresholds, see ``find_curves``."""
    levels = np.concatenate([hits[:, 0], errors[:, 0]])
    changes = np.zeros((len(levels), 2))
    changes[: len(hits), 0] = hits[:, 1]
    changes[len(hits) :, 1] = errors[:, 1]
    order = np.argsort(-levels, kind="stable")
    # All changes at a threshold happen at once
    is_last = np.diff(levels[order], append=-1.0) != 0
    n_found, rate = changes[order].cumsum(0)[is_last].T
    rate = np.append(0.0, rate.round(9))
    share = np.append(0.0, n_found / n_true)
    order = np.argsort(rate, kind="stable")
    return np.stack([rate[order], np.maximum.accumulate(share[order])])


def area(curves: List[np.ndarray], alpha: int) -> float:
    """The area below the mean of staircases, less ``alpha`` times their
    standard deviation, up to MAX_RATE; 1 at most.
    """
    rates = np.unique(np.concatenate([rate for rate, _ in curves]))
    rates = rates[rates < MAX_RATE]
    total, squares = np.zeros_like(rates), np.zeros_like(rates)
    for rate, share in curves:
        height = share[np.searchsorted(rate, rates, side="right") - 1]
        total += height
        squares += height**2
    mean = total / len(curves)
    std = np.sqrt(np.maximum(squares / len(curves) - mean**2, 0.0))
    height = np.maximum(mean - alpha * std, 0.0)
    width = np.diff(rates, append=MAX_RATE)
    return float((width * height).sum() / MAX_RATE)
