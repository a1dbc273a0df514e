"""Scores what is learnt by cross-validation, by groups of clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import math
from collections import defaultdict
from typing import NamedTuple

import numpy as np

from fftp_tag.data.splits import assign_folds
from fftp_tag.learning.features import Sample
from fftp_tag.learning.fit import (
    Answers,
    Fit,
    View,
    fit,
    kinds_of,
    targets_of,
    without_alike,
)
from fftp_tag.learning.thresholds import POINTS
from fftp_tag.learning.unknown import (
    Unknown,
    find_lookalikes,
    summarise,
    without_class,
)
from fftp_tag.model.spans import Views
from fftp_tag.score.intervals import exact_interval
from fftp_tag.score.tags import f1_of_tags

MAX_CONFUSIONS = 5
RESAMPLES = 200  # of the bootstrap
MIN_GROUPS = 5  # for an interval: fewer do not show how much scores vary


class Score(NamedTuple):
    """A score, with a 95 % interval if there are enough groups of clips."""

    value: float
    without_encoder: float  # of log-mel statistics alone
    low: float | None = None
    high: float | None = None


class HeldOut(NamedTuple):
    """A clip, and what it is taken for by what was learnt from others."""

    name: str
    target: np.ndarray  # multi-hot labels [C]
    probs: np.ndarray  # [C]
    # The largest difference to its labels; None: a class could not be learnt
    doubt: float | None


class Gain(NamedTuple):
    """By how much more clips are right than on another encoder, in shares."""

    value: float
    low: float  # of its interval (95 %)
    high: float


class Confusion(NamedTuple):
    """Clips of a class, or of background, that are taken for another class."""

    label: str
    taken_for: str
    clips: list[str]


class Point(NamedTuple):
    """What an operating point tags of held-out sounds, as shares."""

    own: float  # of the clips with a class, with a class of theirs
    others: float  # of other sounds, of kinds that are not learnt from


@dataclasses.dataclass
class Validation:
    """What is learnt, and how good it is; without scores if these are impossible.

    Arguments
    ---------
    encoder, spectrum : Fit
        What is learnt with the encoder, and from log-mel statistics alone.
    n_folds : int
    scores : dict of Score
        See ``score_answers``.
    confusions : list of Confusion
        The most frequent ones.
    unmeasured : list of str
        Labels of the classes that are not scored: their clips are of one group,
        and cannot be learnt from and tested at once.
    points : dict of Point
        Of the default thresholds, and of ``POINTS``, by name.
    others, near : Unknown, optional
        How many other sounds are tagged: of the bank, of kinds that are not learnt
        from; and clips of each class by what has not learnt it, if clips have one
        class each.
    not_told : list of str
        Labels of the classes that clips of left-out classes cannot be told from.
    clips : list of HeldOut
        All clips, those in doubt first.
    right, spectrum_right : numpy.ndarray
        Whether the most probable class of held-out clips is one of their own,
        by both, ``[clips]``.
    groups : list of str
        Of these clips.
    """

    encoder: Fit
    spectrum: Fit
    n_folds: int = 0
    scores: dict[str, Score] = dataclasses.field(default_factory=dict)
    confusions: list[Confusion] = dataclasses.field(default_factory=list)
    unmeasured: list[str] = dataclasses.field(default_factory=list)
    points: dict[str, Point] = dataclasses.field(default_factory=dict)
    others: Unknown | None = None
    near: Unknown | None = None
    not_told: list[str] = dataclasses.field(default_factory=list)
    clips: list[HeldOut] = dataclasses.field(default_factory=list)
    right: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))
    spectrum_right: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros(0)
    )
    groups: list[str] = dataclasses.field(default_factory=list)

    @property
    def thresholds(self) -> np.ndarray:
        """What probabilities of tags must reach ``[C]``."""
        return self.encoder.thresholds

    @property
    def others_tagged(self) -> float:
        """The share of other sounds of the bank that are tagged."""
        return 0.0 if self.others is None else self.others.share

    @property
    def share_right(self) -> float:
        """The share of held-out clips whose most probable class is right."""
        return float(self.right.mean())

    @property
    def encoder_helps(self) -> bool:
        """Whether more clips are right than by log-mel statistics alone, by more
        than the standard error; or nothing could be measured.
        """
        gain = self.right.astype(float) - self.spectrum_right
        n_clips = len(gain)
        return n_clips == 0 or gain.mean() > gain.std() / math.sqrt(n_clips)


def validate(
    labels: list[str],
    samples: list[Sample],
    views: Views,
    single_label: bool,
    operate: str | None = None,
) -> Validation:
    """Learns from samples, and cross-validates what is learnt.

    Kinds of the bank that are taken for a class are left out. If clips have
    several labels, thresholds are learnt: for the scores of a fold, on the other
    folds.

    Arguments
    ---------
    labels : list of str
        Names of the C classes.
    samples : list of Sample
        Clips, background and sounds of the bank.
    views : Views
        The features to learn from.
    single_label : bool
        Whether each clip has one class, or none.
    operate : str, optional
        The operating point, one of ``POINTS``.
    """
    clips = [x for x in samples if not x.clip.kind]
    targets = targets_of(clips)
    folds = assign_folds(targets, [x.clip.fold or x.clip.group for x in clips])
    kinds = kinds_of([x for x in samples if x.clip.kind])
    bank = without_alike(samples, views.encoder, single_label)[len(clips) :]
    all_folds = None
    if folds is not None:
        n_folds = int(folds.max()) + 1
        of_bank = [kinds.index(x.clip.kind) % n_folds for x in bank]
        all_folds = np.append(folds, np.array(of_bank, int))
    encoder, spectrum = (
        fit(clips + bank, view, single_label, all_folds) for view in views
    )
    if folds is None or all_folds is None:
        return Validation(encoder, spectrum, unmeasured=labels)
    of_points = {"default": encoder} | {
        name: encoder.operate(clips + bank, all_folds, share)
        for name, share in POINTS.items()
    }
    if operate is not None:
        encoder = of_points[operate]
        spectrum = spectrum.operate(clips + bank, all_folds, POINTS[operate])
    result = Validation(encoder, spectrum)
    of_clips, of_spectrum = (
        Answers(*(x[: len(clips)] for x in own.held_out))
        for own in (encoder, spectrum)
    )
    is_reviewed = np.array([x.clip.is_reviewed for x in clips])
    measured = np.array([len(set(folds[x > 0])) > 1 for x in targets.T])
    is_scored = targets[:, measured].any(1) | ~targets.any(1)
    rows = np.flatnonzero(is_scored & ~is_reviewed)
    result.n_folds = n_folds
    result.unmeasured = [
        x for x, found in zip(labels, measured, strict=True) if not found
    ]
    judged = np.flatnonzero(targets[:, measured].any(1) & ~is_reviewed)
    if judged.size:
        result.points = {
            name: score_point(found.held_out, targets, judged)
            for name, found in of_points.items()
        }
    others = encoder.held_out.tagged[len(clips) :]
    result.others = summarise([x.clip.kind for x in bank], others)
    result.clips = sort_by_doubt(clips, of_clips.probs, measured)
    if len(labels) > 1:
        judged = np.flatnonzero(targets.any(1) & ~is_reviewed)
        result.right, result.spectrum_right = (
            targets[judged, x.probs[judged].argmax(1)] > 0.5
            for x in (of_clips, of_spectrum)
        )
        result.groups = [clips[row].clip.group for row in judged]
    if measured.any() and len(rows):
        scored = [clips[row] for row in rows]
        of_rows = Answers(*(x[rows] for x in of_clips))
        result.scores = score_answers(
            scored, of_rows, Answers(*(x[rows] for x in of_spectrum)), measured
        )
        result.confusions = find_confusions(labels, scored, of_rows)
    if single_label and len(labels) > 1:
        measure_near(result, labels, clips + bank, views.encoder)
    return result


def score_point(
    held_out: Answers, targets: np.ndarray, judged: np.ndarray
) -> Point:
    """What is tagged of clips with targets ``[clips, C]``, of which those at some
    indices count, and of the other sounds that follow them.
    """
    tagged = held_out.tagged
    own = tagged[judged] & (targets[judged] > 0.5)
    others = tagged[len(targets) :].any(1)
    return Point(
        float(own.any(1).mean()), float(others.mean()) if others.size else 0.0
    )


def measure_near(
    result: Validation, labels: list[str], samples: list[Sample], view: View
) -> None:
    """Measures what clips are taken for by what has not learnt their class."""
    rows, unknown = without_class(result.encoder, samples, view)
    is_used = [not samples[row].clip.is_reviewed for row in rows]
    rows, unknown = rows[is_used], unknown[is_used]
    if not len(rows):
        return
    own_classes = targets_of([samples[row] for row in rows]).argmax(1)
    is_tagged = unknown >= result.thresholds
    result.near = summarise([labels[c] for c in own_classes], is_tagged)
    own = result.encoder.held_out.probs[rows]
    result.not_told = find_lookalikes(labels, own_classes, own, unknown)


def measure_gain(first: Validation, other: Validation) -> Gain:
    """How many more of the same clips are right by another validation.

    The interval is Student's t over groups of clips.
    """
    from scipy.stats import t

    gains = other.right.astype(float) - first.right
    mean = float(gains.mean())
    numbers = np.unique(first.groups, return_inverse=True)[1]
    of_groups = np.bincount(numbers, gains - mean)
    count = len(of_groups)
    error = np.sqrt((of_groups**2).sum() * count / max(count - 1, 1))
    half = float(t.ppf(0.975, max(count - 1, 1)) * error / len(gains))
    return Gain(mean, mean - half, mean + half)


def sort_by_doubt(
    samples: list[Sample], probs: np.ndarray, measured: np.ndarray
) -> list[HeldOut]:
    """The clips whose labels differ most from their probabilities first."""
    clips = []
    for x, row in zip(samples, probs, strict=True):
        doubt = None
        if measured[x.target > 0].all():
            doubt = float(np.abs(x.target - row)[x.is_known].max())
        clips.append(HeldOut(x.clip.id, x.target, row, doubt))
    return sorted(
        clips,
        key=lambda clip: -1 if clip.doubt is None else clip.doubt,
        reverse=True,
    )


def score_answers(
    samples: list[Sample],
    answers: Answers,
    of_spectrum: Answers,
    measured: np.ndarray | None = None,
) -> dict[str, Score]:
    """Scores of clips, with 95 % intervals for as many new clips like these.

    The intervals are from a bootstrap over groups; where all are right, or few
    wrong, the exact (Clopper-Pearson) interval of as many groups is wider, and
    is used. They are widened by the square root of 2 because the score of the
    new clips varies as well. There are none if the clips with a class are in
    fewer than 5 groups.

    Arguments
    ---------
    samples : list of Sample
    answers, of_spectrum : Answers
        What is said of them with the encoder, and by log-mel statistics alone.
    measured : numpy.ndarray, optional
        Which classes ``macro_F1`` counts, ``[C]``; by default all.

    Returns
    -------
    dict of Score
        ``macro_F1`` of the tags; ``no_tag``, the share of the clips with a
        class that have none; and, if there are several classes and no clip has
        more than one, ``accuracy`` of the most probable class, whether it is a
        tag or not. Scores that are undefined are missing.
    """
    targets = targets_of(samples)
    if measured is None:
        measured = np.ones(targets.shape[1], bool)
    without = score_arrays(targets, of_spectrum, measured)
    scores = {
        name: Score(value, without[name])
        for name, value in score_arrays(targets, answers, measured).items()
    }
    groups = [x.clip.group for x in samples]
    n_groups = len({x.clip.group for x in samples if not x.is_background})
    if n_groups < MIN_GROUPS:
        return scores
    numbers = np.unique(groups, return_inverse=True)[1]
    members = [np.flatnonzero(numbers == n) for n in range(numbers.max() + 1)]
    draw = np.random.default_rng(0)
    resampled = []
    for _ in range(RESAMPLES):
        drawn = draw.integers(len(members), size=len(members))
        rows = np.concatenate([members[number] for number in drawn])
        of_rows = Answers(*(x[rows] for x in answers))
        resampled.append(score_arrays(targets[rows], of_rows, measured))
    for name, score in scores.items():
        found = [sample[name] for sample in resampled if name in sample]
        low, high = np.percentile(found, [2.5, 97.5])
        exact_low, exact_high = exact_interval(score.value, n_groups)
        ends = np.array([min(low, exact_low), max(high, exact_high)])
        ends = score.value + math.sqrt(2) * (ends - score.value)
        low, high = ends.clip(0, 1).tolist()
        scores[name] = score._replace(low=low, high=high)
    return scores


def score_arrays(
    targets: np.ndarray, answers: Answers, measured: np.ndarray
) -> dict[str, float]:
    """The values of ``score_answers`` by name."""
    true, tagged = targets > 0.5, answers.tagged
    scores = {}
    macro_f1 = f1_of_tags(true[:, measured], tagged[:, measured])["macro_F1"]
    if macro_f1 is not None:
        scores["macro_F1"] = macro_f1
    rows = true.any(1)
    if rows.any():
        scores["no_tag"] = float((~tagged[rows].any(1)).mean())
    if true.shape[1] > 1 and (true.sum(1) <= 1).all() and rows.any():
        right = answers.probs[rows].argmax(1) == true[rows].argmax(1)
        scores["accuracy"] = float(right.mean())
    return scores


def find_confusions(
    labels: list[str], samples: list[Sample], answers: Answers
) -> list[Confusion]:
    """The pairs of classes that are confused most often.

    A clip counts if another class is more probable than its own. A clip without
    a class counts if it is tagged.
    """
    clips = defaultdict(list)
    for x, row, tags in zip(
        samples, answers.probs, answers.tagged, strict=True
    ):
        others = np.where(x.target > 0.5, -1, row)
        other = others.argmax()
        own = np.flatnonzero(x.target > 0.5)
        wrong = [labels[c] for c in own if others[other] > row[c]]
        if x.is_background and tags[other]:
            wrong = ["background"]
        for label in wrong:
            clips[label, labels[other]].append(x.clip.id)
    worst = sorted(clips.items(), key=lambda item: -len(item[1]))
    return [Confusion(*pair, own) for pair, own in worst[:MAX_CONFUSIONS]]
