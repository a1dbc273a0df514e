"""Learns thresholds and rules of events from the labels of clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
from typing import Dict, Optional

import numpy as np

from fftp_tag.score.events import found_events
from fftp_tag.score.tags import column_f1
from fftp_tag.tag.events import Timeline
from speechbrain_fftp.dataio.model_info import THRESHOLD, Rules, default_rules

MIN_POSITIVES = 5  # clips of a class, to learn its rules
# Seconds. Labels of clips do not tell whether a pause belongs to an event
PAUSE = 3.0
LOW = 0.1  # minimum probability while an event lasts
# Of a threshold. A clip of lower probability is missed, whatever F1 would gain
LEAST = 0.001
MINIMA = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0)


def with_rules(
    timelines: Dict[str, Timeline], rules: Rules
) -> Dict[str, Timeline]:
    """The same timelines with other rules."""
    return {
        clip: dataclasses.replace(timeline, rules=rules)
        for clip, timeline in timelines.items()
    }


def are_learnable(targets: np.ndarray) -> np.ndarray:
    """Whether classes have enough positive clips, ``[C]``."""
    return (targets > 0.5).sum(0) >= MIN_POSITIVES


def learn_from_clips(
    targets: np.ndarray,
    probs: np.ndarray,
    timelines: Dict[str, Timeline],
    learnable: Optional[np.ndarray] = None,
) -> Rules:
    """Learns from the labels of clips.

    Thresholds maximise F1 of the tags. With timelines, an event lasts while the
    probability is at least 0.1, except for pauses of less than 3 s. For each
    class, the minimum duration, then ``high``, maximise F1 of the clips with an
    event; of equally good minimum durations, the longest is used.

    Arguments
    ---------
    targets, probs : numpy.ndarray
        Multi-hot labels and probabilities, ``[clips, C]``.
    timelines : dict
        Timelines of the clips in the same order, or an empty dict.
    learnable : numpy.ndarray, optional
        Which classes to learn, ``[C]``; by default, see ``are_learnable``.
    """
    rules = default_rules(targets.shape[1])
    is_learnt = are_learnable(targets) if learnable is None else learnable
    if not is_learnt.any():
        return rules
    thresholds = learn_thresholds(targets, probs, is_learnt)
    rules = dataclasses.replace(
        rules,
        threshold=thresholds,
        low=thresholds,
        high=thresholds,
        is_learnt=True,
    )
    if not timelines:
        return rules
    low = np.where(is_learnt, np.float32(LOW), rules.low)
    rules = dataclasses.replace(rules, low=low, high=low)
    rules = rules.replace(merge_gap=PAUSE)
    minima = learn_minima(with_rules(timelines, rules), targets)
    rules = rules.replace(min_duration=np.where(is_learnt, minima, 0.0))
    peaks = highest_peaks(with_rules(timelines, rules))
    high = np.maximum(learn_thresholds(targets, peaks, is_learnt), low)
    return dataclasses.replace(rules, high=high)


def learn_thresholds(
    targets: np.ndarray,
    probs: np.ndarray,
    learnable: Optional[np.ndarray] = None,
) -> np.ndarray:
    """Learns the threshold of each class that maximises its F1.

    Other classes get 0.5.

    Arguments
    ---------
    targets, probs : numpy.ndarray
        Multi-hot labels and probabilities, ``[clips, C]``.
    learnable : numpy.ndarray, optional
        Which classes to learn, ``[C]``; by default, see ``are_learnable``.

    Returns
    -------
    numpy.ndarray
        The thresholds ``[C]``.
    """
    is_true = targets > 0.5
    thresholds = np.full(targets.shape[1], THRESHOLD, np.float32)
    if learnable is None:
        learnable = are_learnable(targets)
    for c in np.flatnonzero(learnable & is_true.any(0)):
        thresholds[c] = best_threshold(is_true[:, c], probs[:, c])
    return thresholds


def best_threshold(is_true: np.ndarray, probs: np.ndarray) -> np.float32:
    """The highest threshold of maximum F1, or 0.5 if no clip is found.

    It is halfway between the lowest probability that reaches it and the highest
    one that does not: if all positives are above all negatives, in the middle
    between them.
    """
    from sklearn.metrics import precision_recall_curve

    precision, recall, probs = precision_recall_curve(
        is_true, probs.astype(np.float32)
    )
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    f1 = np.where(probs >= LEAST, f1[:-1].round(12), 0.0)  # ties are equal
    if not f1.any():
        return np.float32(THRESHOLD)
    best = np.flatnonzero(f1 == f1.max())[-1]
    high = probs[best]
    low = probs[best - 1] if best > 0 else np.float32(0)
    middle = low + (high - low) / 2
    if middle == low:  # neighbours in float32
        middle = high
    return max(middle, np.float32(LEAST))


def learn_minima(
    timelines: Dict[str, Timeline], targets: np.ndarray
) -> np.ndarray:
    """Learns minimum durations ``[C]``, see ``learn_from_clips``."""
    longest = np.full(targets.shape, -1.0)  # without an event
    for row, timeline in zip(longest, timelines.values()):
        for label, events in found_events(timeline).items():
            c = timeline.labels.index(label)
            row[c] = np.diff(events).max()
    scores = np.stack(
        [column_f1(targets > 0.5, longest >= minimum) for minimum in MINIMA]
    ).round(12)
    is_best = scores == scores.max(0)
    return (is_best * np.array(MINIMA)[:, None]).max(0)


def highest_peaks(timelines: Dict[str, Timeline]) -> np.ndarray:
    """The highest probability of an event, or 0, ``[clips, C]``."""
    n_classes = len(next(iter(timelines.values())).labels)
    peaks = np.zeros((len(timelines), n_classes), np.float32)
    for row, timeline in zip(peaks, timelines.values()):
        for event in timeline.events():
            c = timeline.labels.index(event.label)
            row[c] = max(row[c], event.probability)
    return peaks
