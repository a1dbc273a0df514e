"""Learns thresholds and rules of events, from clips and from background.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fftp_tag.model.info import THRESHOLD, Rules, default_rules
from fftp_tag.score.background import Heard, find_false_alarms, upper_bound
from fftp_tag.score.tags import column_f1
from fftp_tag.tag.events import Timeline

MIN_POSITIVES = 5  # clips of a class, to learn its rules
MIN_MAX_THRESHOLD = 0.001, 0.999
# Operating points: how many of the clips whose most probable class is right get it
# as a tag
POINTS = {"cautious": 0.5, "balanced": 0.75, "eager": 0.9}
MIN_TAIL = 20  # events of a class, by which others are extrapolated
NEVER = np.float32(1)  # the threshold of a class that is not to be found


def are_learnable(targets: np.ndarray) -> np.ndarray:
    """Whether classes have enough positive clips, ``[C]``."""
    return (targets > 0.5).sum(0) >= MIN_POSITIVES


def are_ranked(is_true: np.ndarray, tagged: np.ndarray) -> np.ndarray:
    """Whether F1 of classes is above that of tagging all clips, ``[C]``.

    Arguments
    ---------
    is_true, tagged : numpy.ndarray
        Booleans ``[clips, C]``; tags by thresholds that are learnt from other
        clips.
    """
    every = np.ones_like(is_true)
    by_chance = column_f1(is_true, every)
    return (column_f1(is_true, tagged) > by_chance) | (by_chance == 1)


def abstain(rules: Rules, classes: np.ndarray) -> Rules:
    """Rules by which some classes, ``[C]`` booleans, are never found."""
    return dataclasses.replace(
        rules,
        threshold=np.where(classes, NEVER, rules.threshold),
        high=np.where(classes, NEVER, rules.high),
    )


def learn_event_rules(
    targets: np.ndarray,
    timelines: list[Timeline],
    thresholds: np.ndarray,
    learnable: np.ndarray,
    low: float = 0.1,
    merge_gap: float = 3.0,
    min_durations: Sequence[float] = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0),
) -> Rules:
    """Learns rules of events from the labels of clips.

    An event lasts while the probability is at least ``low``, except for pauses
    of less than ``merge_gap``, since labels of clips do not tell whether a pause
    belongs to it. For each class, the minimum duration, then ``high``, maximise
    F1 of the clips with an event; of equally good minimum durations, the longest
    is used.

    Arguments
    ---------
    targets : numpy.ndarray
        Multi-hot labels ``[clips, C]``.
    timelines : list of Timeline
        Of the clips.
    thresholds, learnable : numpy.ndarray
        Thresholds of tags, and which classes to learn, ``[C]``; the rules of
        others mean nothing.
    low, merge_gap : float
        Rules of all classes, see ``Rules``.
    min_durations : sequence of float
        To choose from, in seconds.
    """
    lows = np.full(len(thresholds), low, np.float32)
    rules = dataclasses.replace(
        default_rules(len(thresholds)).replace(merge_gap=merge_gap),
        threshold=thresholds,
        low=lows,
        high=lows,
    )
    found = [
        (row, timeline.labels.index(x.label), x.start, x.end, x.probability)
        for row, timeline in enumerate(timelines)
        for x in dataclasses.replace(timeline, rules=rules).events()
    ]
    rows, classes, starts, ends, probs = np.array(found).reshape(-1, 5).T
    cells = rows.astype(int), classes.astype(int)
    longest = np.full(targets.shape, -1.0)  # without an event
    np.maximum.at(longest, cells, ends - starts)
    scores = np.stack(
        [
            column_f1(targets > 0.5, longest >= minimum)
            for minimum in min_durations
        ]
    ).round(12)
    is_best = scores == scores.max(0)
    minima = (is_best * np.array(min_durations)[:, None]).max(0)
    is_event = ends - starts >= minima[cells[1]]
    peaks = np.zeros(targets.shape)
    np.maximum.at(peaks, cells, is_event * probs)
    high = np.maximum(learn_thresholds(targets, peaks, learnable), lows)
    return dataclasses.replace(rules, high=high, min_duration=minima)


def learn_thresholds(
    targets: np.ndarray, probs: np.ndarray, learnable: np.ndarray
) -> np.ndarray:
    """Learns the threshold of each class that maximises its F1.

    Arguments
    ---------
    targets, probs : numpy.ndarray
        Multi-hot labels and probabilities, ``[clips, C]``.
    learnable : numpy.ndarray
        Which classes to learn, ``[C]``.

    Returns
    -------
    numpy.ndarray
        The thresholds ``[C]``; 0.5 of other classes.
    """
    is_true = targets > 0.5
    thresholds = np.full(targets.shape[1], THRESHOLD, np.float32)
    for c in np.flatnonzero(learnable & is_true.any(0)):
        thresholds[c] = best_threshold(is_true[:, c], probs[:, c])
    return thresholds


def find_shift(
    targets: np.ndarray,
    probs: np.ndarray,
    thresholds: np.ndarray,
    share: float,
) -> float:
    """What to add to the logits of thresholds, so that a share of the clips whose
    most probable class is right reach it; 0 if there are no such clips.

    Arguments
    ---------
    targets, probs, thresholds : numpy.ndarray
        Multi-hot labels, and probabilities with what they must reach,
        ``[clips, C]``.
    share : float
    """
    from scipy.special import logit

    best = np.arange(len(probs)), probs.argmax(1)
    right = targets[best] > 0.5
    if not right.any():
        return 0.0
    reached = probs[best].clip(*MIN_MAX_THRESHOLD)
    margins = logit(reached) - logit(thresholds[best].clip(*MIN_MAX_THRESHOLD))
    return float(np.quantile(margins[right], 1 - share))


def shift_thresholds(thresholds: np.ndarray, shift: float) -> np.ndarray:
    """Thresholds with so much added to their logits."""
    from scipy.special import expit, logit

    before = thresholds.clip(*MIN_MAX_THRESHOLD)
    after = expit(logit(before) + shift).clip(*MIN_MAX_THRESHOLD)
    return after.astype(np.float32)


def best_threshold(
    is_true: np.ndarray,
    probs: np.ndarray,
    min_threshold: float = MIN_MAX_THRESHOLD[0],
) -> np.float32:
    """The highest threshold of maximum F1, or 0.5 if no clip is found.

    It is halfway between the lowest probability that reaches it and the highest
    one that does not: if all positives are above all negatives, in the middle
    between them. A clip below ``min_threshold`` is missed, whatever F1 would gain.
    """
    from sklearn.metrics import precision_recall_curve

    precision, recall, probs = precision_recall_curve(
        is_true, probs.astype(np.float32)
    )
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    f1 = np.where(
        probs >= min_threshold, f1[:-1].round(12), 0.0
    )  # ties are equal
    if not f1.any():
        return np.float32(THRESHOLD)
    best = np.flatnonzero(f1 == f1.max())[-1]
    high = probs[best]
    low = probs[best - 1] if best > 0 else np.float32(0)
    middle = low + (high - low) / 2
    if middle == low:  # neighbours in float32
        middle = high
    return max(middle, np.float32(min_threshold))


class Limit(NamedTuple):
    """What events must reach, for so many false alarms an hour of each class.

    Arguments
    ---------
    high : numpy.ndarray
        The probabilities ``[C]``.
    fewest, most : float
        The interval (95 %) of how many an hour there will be, of the class where
        it is widest.
    """

    high: np.ndarray
    fewest: float
    most: float


def choose_high(heard: list[Heard], rules: Rules, per_hour: float) -> Limit:
    """Chooses what events must reach, by recordings without any of the sounds.

    That is at least the thresholds of tags, and those of the rules for a class of
    which the recordings have no events.
    """
    every = dataclasses.replace(rules, high=rules.low)
    events, seconds = find_false_alarms(heard, every)
    high = rules.high.copy()
    if not seconds:
        return Limit(high, 0.0, math.inf)
    hours = seconds / 3600
    fewest, most = per_hour, per_hour
    for c, label in enumerate(heard[0].timeline.labels):
        own = [
            (x.probability, recording, x.start // 60)
            for recording, found in enumerate(events)
            for x in found
            if x.label == label
        ]
        own = sorted(own, reverse=True)
        own = own[: max(MIN_TAIL, math.ceil(2 * per_hour * hours))]
        if own:
            peaks = np.array([x[0] for x in own], np.float32)
            high[c] = max(
                rules.threshold[c], find_level(peaks, per_hour * hours)
            )
        # Events of one minute are of one sound
        n_minutes = len({x[1:] for x in own})
        low_count, high_count = count_interval(
            len(own), n_minutes, per_hour * hours
        )
        fewest = min(fewest, low_count / hours)
        most = max(most, high_count / hours)
    return Limit(high, fewest, most)


def find_level(peaks: np.ndarray, count: float) -> float:
    """The probability that so many events will reach.

    The logits of the highest events are taken to decay exponentially, at least
    by one more event with a mean of 1.

    Arguments
    ---------
    peaks : numpy.ndarray
        Of the highest events, in falling order.
    count : float
        So many of as many as there were; fewer than 1: none is expected.
    """
    from scipy.special import expit, logit

    if count == 0:
        return min(float(np.nextafter(peaks[0], np.float32(2))), 1.0)
    logits = logit(peaks.clip(*MIN_MAX_THRESHOLD).astype(np.float64))
    excess = logits - logits[-1]
    decay = (excess.sum() + 1) / len(peaks)
    return float(expit(logits[-1] + decay * math.log(len(peaks) / count)))


def count_interval(
    n_events: int, n_minutes: int, count: float
) -> tuple[float, float]:
    """The interval (95 %) of events where so many are expected, see ``find_level``.

    Arguments
    ---------
    n_events, n_minutes : int
        That the level was found by, and how many of these are independent.
    count : float
    """
    if n_events == 0 or count == 0:
        return 0.0, upper_bound(0)
    distance = math.log(n_events / count)
    error = math.sqrt((1 + distance**2) / n_minutes)
    factor = math.exp(1.96 * error)
    return count / factor, count * factor
