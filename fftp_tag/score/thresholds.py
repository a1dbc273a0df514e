"""Learns thresholds and rules of events from labels of clips or true events.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import statistics
from collections import Counter
from typing import Dict, List

import numpy as np

from fftp_tag.score.events import (
    ClipEvents,
    Truth,
    count_events,
    found_events,
    overlap_by_half,
    pair_events,
)
from fftp_tag.score.tags import column_f1
from fftp_tag.tag.events import Timeline
from speechbrain_fftp.dataio.model_info import THRESHOLD, Rules, default_rules

MIN_POSITIVES = 5  # clips or events of a class, to learn its rules
# Seconds. Labels of clips do not tell whether a pause belongs to an event
PAUSE = 3.0
LOW = 0.1  # minimum probability while an event lasts
THRESHOLDS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8)
GAPS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
MINIMA = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0)


def with_rules(
    timelines: Dict[str, Timeline], rules: Rules
) -> Dict[str, Timeline]:
    """The same timelines with other rules."""
    return {
        clip: dataclasses.replace(timeline, rules=rules)
        for clip, timeline in timelines.items()
    }


def learn_from_clips(
    targets: np.ndarray, probs: np.ndarray, timelines: Dict[str, Timeline]
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
    """
    rules = default_rules(targets.shape[1])
    is_learnt = targets.sum(0) >= MIN_POSITIVES
    if not is_learnt.any():
        return rules
    rules = rules.replace(threshold=learn_thresholds(targets, probs))
    rules = dataclasses.replace(rules, is_learnt=True)
    if not timelines:
        return rules
    low = np.where(is_learnt, np.float32(LOW), rules.low)
    rules = dataclasses.replace(rules, low=low, high=low)
    rules = rules.replace(merge_gap=PAUSE)
    minima = learn_minima(with_rules(timelines, rules), targets)
    rules = rules.replace(min_duration=np.where(is_learnt, minima, 0.0))
    peaks = highest_peaks(with_rules(timelines, rules))
    high = np.maximum(learn_thresholds(targets, peaks), low)
    return dataclasses.replace(rules, high=high)


def learn_thresholds(
    targets: np.ndarray, probs: np.ndarray, min_positives: int = MIN_POSITIVES
) -> np.ndarray:
    """Learns the threshold of each class that maximises its F1.

    Classes with too few positive clips get 0.5.

    Arguments
    ---------
    targets, probs : numpy.ndarray
        Multi-hot labels and probabilities, ``[clips, C]``.
    min_positives : int
        Minimum number of positive clips to learn a threshold.

    Returns
    -------
    numpy.ndarray
        The thresholds ``[C]``, above 0.
    """
    is_true = targets > 0.5
    thresholds = np.full(targets.shape[1], THRESHOLD, np.float32)
    for c in np.flatnonzero(is_true.sum(0) >= min_positives):
        thresholds[c] = best_threshold(is_true[:, c], probs[:, c])
    return thresholds


def best_threshold(is_true: np.ndarray, probs: np.ndarray) -> np.float32:
    """The highest threshold of maximum F1, above 0.

    It is halfway between the lowest probability that reaches it and the highest
    one that does not.
    """
    from sklearn.metrics import precision_recall_curve

    precision, recall, probs = precision_recall_curve(
        is_true, probs.astype(np.float32)
    )
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    f1 = np.where(probs > 0, f1[:-1].round(12), 0.0)  # so that ties are equal
    best = np.flatnonzero(f1 == f1.max())[-1]
    high = probs[best]
    low = probs[best - 1] if best > 0 else np.float32(0)
    middle = low + (high - low) / 2
    if middle == low:  # neighbours in float32
        middle = high
    return max(middle, np.finfo(np.float32).tiny)


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


def learn_from_events(
    timelines: Dict[str, Timeline], truth: Truth, labels: List[str]
) -> Rules:
    """Learns the rules that maximise ``overlap_F1`` of each class.

    By a grid search over thresholds, gaps and minimum durations. Classes with
    too few events get a threshold of 0.5, and the most frequent gap and minimum
    duration of the other classes.

    Arguments
    ---------
    timelines : dict
        Timelines by clip id.
    truth : dict
        True events (start, end, label) by clip id.
    labels : list of str
        Names of the C classes.
    """
    rules = default_rules(len(labels))
    counts = Counter(label for events in truth.values() for *_, label in events)
    learnt = [c for c, x in enumerate(labels) if counts[x] >= MIN_POSITIVES]
    if not learnt:
        return rules
    shape = (len(learnt), len(THRESHOLDS), len(GAPS), len(MINIMA))
    scores = np.zeros(shape)
    for t, threshold in enumerate(THRESHOLDS):
        tried = rules.replace(threshold, merge_gap=0.0, min_duration=0.0)
        # Whatever the tags are: their thresholds are learnt apart
        tried = dataclasses.replace(tried, threshold=0 * tried.threshold)
        runs = pair_events(with_rules(timelines, tried), truth, labels)
        for row, c in enumerate(learnt):
            scores[row, t] = score_grid(runs[labels[c]])
    best = np.array([central_maximum(table) for table in scores]).T
    thresholds = rules.threshold.copy()
    thresholds[learnt] = np.take(THRESHOLDS, best[0])
    gaps = np.take(GAPS, best[1])
    minima = np.take(MINIMA, best[2])
    rules = rules.replace(
        threshold=thresholds,
        merge_gap=spread(gaps, learnt, len(labels)),
        min_duration=spread(minima, learnt, len(labels)),
    )
    return dataclasses.replace(rules, is_learnt=True)


def score_grid(runs: List[ClipEvents]) -> np.ndarray:
    """F1 of a class for each gap and minimum duration, from unmerged events."""
    scores = np.zeros((len(GAPS), len(MINIMA)))
    for g, gap in enumerate(GAPS):
        merged = [clip._replace(found=merge(clip.found, gap)) for clip in runs]
        for m, minimum in enumerate(MINIMA):
            events = [
                clip._replace(found=drop_short(clip.found, minimum))
                for clip in merged
            ]
            scores[g, m] = count_events(events, overlap_by_half).f1
    return scores


def merge(events: np.ndarray, gap: float) -> np.ndarray:
    """Joins events ``[N, 2]`` that are less than a gap apart."""
    if not len(events):
        return events
    is_apart = events[1:, 0] - events[:-1, 1] >= gap
    starts = events[np.append(True, is_apart), 0]
    ends = events[np.append(is_apart, True), 1]
    return np.stack([starts, ends], 1)


def drop_short(events: np.ndarray, minimum: float) -> np.ndarray:
    """Drops events ``[N, 2]`` that are shorter than a minimum."""
    return events[events[:, 1] - events[:, 0] >= minimum]


def central_maximum(scores: np.ndarray) -> np.ndarray:
    """The index of the maximum; of equal maxima, the one nearest their mean."""
    best = np.argwhere(scores == scores.max())
    distances = np.square(best - best.mean(0)).sum(1)
    return best[distances.argmin()]


def spread(
    values: np.ndarray, classes: List[int], n_classes: int
) -> np.ndarray:
    """Extends values of some classes to all, by the most frequent value."""
    spread = np.full(n_classes, statistics.mode(values.tolist()))
    spread[classes] = values
    return spread
