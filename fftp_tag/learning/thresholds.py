"""Learns thresholds and rules of events, from clips and from background.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import logging
import math
from collections.abc import Sequence

import numpy as np

from fftp_tag.model.info import THRESHOLD, Rules, default_rules
from fftp_tag.score.background import Heard, find_false_alarms
from fftp_tag.score.tags import column_f1
from fftp_tag.tag.events import Timeline

logger = logging.getLogger(__name__)

MIN_POSITIVES = 5  # clips of a class, to learn its rules
MIN_MAX_THRESHOLD = 0.001, 0.999
# Operating points: how many of the clips whose most probable class is right get it
# as a tag
POINTS = {"cautious": 0.5, "balanced": 0.75, "eager": 0.9}
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


def choose_high(
    heard: list[Heard], rules: Rules, per_hour: float
) -> np.ndarray:
    """The probabilities ``high`` ``[C]`` that events must reach.

    Each class has at most so many events an hour in recordings without the
    sounds. They are at least the thresholds of tags or, if the recordings are too
    short to show one event at that rate, those of the rules.
    """
    every = dataclasses.replace(rules, high=rules.low)
    events, seconds = find_false_alarms(heard, every)
    allowed = math.floor(per_hour * seconds / 3600)
    if per_hour > 0 and allowed == 0:
        logger.warning(
            "a quarter of the background, %.1f minutes, is too short to show %g "
            "false alarms an hour, so that none are accepted: give %.1f hours",
            seconds / 60,
            per_hour,
            4 / per_hour,
        )
    least = rules.threshold if allowed else rules.high
    high = least.copy()
    for c, label in enumerate(heard[0].timeline.labels if heard else ()):
        peaks = sorted(
            x.probability for own in events for x in own if x.label == label
        )
        if len(peaks) > allowed:
            above = np.nextafter(np.float32(peaks[-1 - allowed]), np.float32(2))
            high[c] = max(least[c], min(above, np.float32(1)))
    return high
