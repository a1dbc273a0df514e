"""Learns a classifier from clips, and cross-validates it by groups of clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import math
from collections import defaultdict
from typing import NamedTuple

import numpy as np

from fftp_tag.data.splits import assign_folds
from fftp_tag.learning.classifier import (
    TEMPERATURE,
    ClipClassifier,
    find_calibration,
    learn_classes,
    learn_identity,
    learn_labels,
)
from fftp_tag.learning.thresholds import are_learnable, learn_thresholds
from fftp_tag.model.info import THRESHOLD
from fftp_tag.model.spans import Views
from fftp_tag.score.intervals import exact_interval
from fftp_tag.score.tags import f1_of_tags

MAX_CONFUSIONS = 5
RESAMPLES = 200  # of the bootstrap
MIN_GROUPS = 5  # for an interval: fewer do not show how much scores vary
KIND_FOLDS = 5  # of the kinds of other sounds
ALIKE = 0.75  # share of the sounds of a kind that are taken for one class


class Example(NamedTuple):
    """A clip to learn from, or to be scored."""

    name: str
    group: str  # clips of a group are alike, and stay in one fold
    target: np.ndarray  # multi-hot labels [C]
    spans: np.ndarray  # features of its spans [N, F]
    # Features of its sounds and of augmented copies [K, F]; if there are none,
    # each span is learnt from: any may be a false alarm
    sounds: np.ndarray
    # Classes whose label is known [C]; by default all
    is_known: np.ndarray | None = None
    kind: int | None = None  # of a sound of the bank, which has no class
    # Whether it was chosen for review: it is learnt from, but no calibration,
    # threshold or score is of these, which are unlike what will be heard
    is_reviewed: bool = False
    fold: str = ""  # if given, its clips stay in one fold instead

    @property
    def is_background(self) -> bool:
        """Whether it has no class."""
        return not self.target.any()

    @property
    def rows(self) -> np.ndarray:
        """The features that are learnt from ``[N, F]``."""
        return self.sounds if len(self.sounds) else self.spans

    @property
    def centre(self) -> np.ndarray:
        """The features ``[F]`` of the clip as it is."""
        return self.sounds[0] if len(self.sounds) else self.spans.mean(0)

    @property
    def class_index(self) -> int:
        """Of a clip with one class: its index; C of background; then kinds."""
        if not self.is_background:
            return int(self.target.argmax())
        more = 0 if self.kind is None else 1 + self.kind
        return len(self.target) + more


class Score(NamedTuple):
    """A score, with a 95 % interval if there are enough groups of clips."""

    value: float
    without_encoder: float  # of log-mel statistics alone
    low: float | None = None
    high: float | None = None


class HeldOut(NamedTuple):
    """A clip, classified by what was learnt from other clips."""

    name: str
    target: np.ndarray  # multi-hot labels [C]
    probs: np.ndarray  # [C]
    # The largest difference of both; None: a class could not be learnt
    doubt: float | None


class Confusion(NamedTuple):
    """Clips of a class, or of background, that are taken for another class."""

    label: str
    taken_for: str
    clips: list[str]


@dataclasses.dataclass
class Validation:
    """Results of cross-validation; without scores if it is impossible.

    Arguments
    ---------
    thresholds : numpy.ndarray
        For the classifier of all clips, ``[C]``.
    n_folds : int
    scores : dict of Score
        See ``score_clips``.
    confusions : list of Confusion
        The most frequent ones.
    unmeasured : list of str
        Labels of the classes that are not scored: their clips are of one group,
        and cannot be learnt from and tested at once.
    others_tagged : float
        The share of other sounds, of kinds that are not learnt from, that are
        tagged.
    clips : list of HeldOut
        All clips, those in doubt first.
    right, spectrum_right : numpy.ndarray
        Whether the most probable class of held-out clips is one of their own,
        and by log-mel statistics alone, ``[clips]``.
    """

    thresholds: np.ndarray
    n_folds: int = 0
    scores: dict[str, Score] = dataclasses.field(default_factory=dict)
    confusions: list[Confusion] = dataclasses.field(default_factory=list)
    unmeasured: list[str] = dataclasses.field(default_factory=list)
    others_tagged: float = 0.0
    clips: list[HeldOut] = dataclasses.field(default_factory=list)
    right: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))
    spectrum_right: np.ndarray = dataclasses.field(
        default_factory=lambda: np.zeros(0)
    )

    @property
    def encoder_helps(self) -> bool:
        """Whether more clips are right than by log-mel statistics alone, by more
        than the standard error; or nothing could be measured.
        """
        gain = self.right.astype(float) - self.spectrum_right
        n_clips = len(gain)
        return n_clips == 0 or gain.mean() > gain.std() / math.sqrt(n_clips)


class Learnt(NamedTuple):
    """Classifiers of all clips, and how good they are."""

    classifier: ClipClassifier
    spectrum: ClipClassifier  # of log-mel statistics alone
    spectrum_thresholds: np.ndarray  # [C]
    validation: Validation


def validate(
    labels: list[str],
    examples: list[Example],
    others: list[Example],
    views: Views,
    single_label: bool,
) -> Learnt:
    """Learns from clips and other sounds, and cross-validates what is learnt.

    Kinds of other sounds that are taken for a class are left out. If clips have
    several labels, thresholds are learnt: for the scores of a fold, on the other
    folds.

    Arguments
    ---------
    labels : list of str
        Names of the C classes.
    examples, others : list of Example
        Clips, and sounds of the bank.
    views : Views
        The features to learn from.
    single_label : bool
        Whether each clip has one class, or none: background.
    """
    targets = targets_of(examples)
    thresholds = np.full(len(labels), THRESHOLD, np.float32)
    folds = assign_folds(targets, [x.fold or x.group for x in examples])
    others = without_alike(examples, others, views.encoder[:1], single_label)
    if folds is None:
        temperature = TEMPERATURE if single_label else 1.0
        classifier, spectrum = (
            soften(
                learn_from(examples + others, view, single_label), temperature
            )
            for view in views
        )
        validation = Validation(thresholds, unmeasured=labels)
        return Learnt(classifier, spectrum, thresholds, validation)
    everything = examples + others
    n_clips, n_folds = len(examples), int(folds.max()) + 1
    kinds = np.array([x.kind for x in others], int)
    all_folds = np.concatenate([folds, kinds % n_folds])
    classifier, all_probs = cross_validate(
        everything, all_folds, views.encoder, single_label
    )
    spectrum, spectrum_probs = cross_validate(
        everything, all_folds, views.spectrum, single_label
    )
    probs, spectrum_probs = all_probs[:n_clips], spectrum_probs[:n_clips]
    is_reviewed = np.array([x.is_reviewed for x in examples])
    is_judged = targets.any(1) & ~is_reviewed & (len(labels) > 1)
    spectrum_thresholds = thresholds
    tagged, spectrum_tagged = probs >= THRESHOLD, spectrum_probs >= THRESHOLD
    if not single_label:
        learnt_from = np.where(is_reviewed, -1, folds)
        thresholds, tagged = cross_validate_thresholds(
            targets, probs, learnt_from
        )
        spectrum_thresholds, spectrum_tagged = cross_validate_thresholds(
            targets, spectrum_probs, learnt_from
        )
    measured = np.array([len(set(folds[x > 0])) > 1 for x in targets.T])
    is_scored = targets[:, measured].any(1) | ~targets.any(1)
    rows = np.flatnonzero(is_scored & ~is_reviewed)
    scored = [examples[row] for row in rows]
    validation = Validation(
        thresholds,
        n_folds=n_folds,
        unmeasured=[
            x for x, found in zip(labels, measured, strict=True) if not found
        ],
        others_tagged=share_tagged(all_probs[n_clips:], thresholds),
        clips=sort_by_doubt(examples, probs, measured),
        right=are_right(targets, probs, is_judged),
        spectrum_right=are_right(targets, spectrum_probs, is_judged),
    )
    if measured.any() and len(rows):
        validation.scores = score_clips(
            scored,
            probs[rows],
            tagged[rows],
            spectrum_probs[rows],
            spectrum_tagged[rows],
            measured,
        )
        validation.confusions = find_confusions(
            labels, scored, probs[rows], tagged[rows]
        )
    return Learnt(classifier, spectrum, spectrum_thresholds, validation)


def are_right(
    targets: np.ndarray, probs: np.ndarray, is_judged: np.ndarray
) -> np.ndarray:
    """Whether the most probable class of each clip is one of its own.

    Of some of the clips of ``targets`` and ``probs`` ``[clips, C]``.
    """
    rows = np.flatnonzero(is_judged)
    return targets[rows, probs[rows].argmax(1)] > 0.5


def cross_validate_thresholds(
    targets: np.ndarray, probs: np.ndarray, folds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Thresholds ``[C]``, and whether clips are tagged by those of other folds.

    ``targets`` and ``probs`` are ``[clips, C]``; nothing is learnt from clips of
    the fold -1.
    """

    def learn(is_used: np.ndarray) -> np.ndarray:
        """The thresholds by some of the clips."""
        rows = is_used & (folds >= 0)
        return learn_thresholds(targets[rows], probs[rows], learnable)

    learnable = are_learnable(targets[folds >= 0])
    tagged = np.zeros(probs.shape, bool)
    for fold in np.unique(folds):
        own = folds == fold
        tagged[own] = probs[own] >= learn(~own)
    return learn(folds >= 0), tagged


def share_tagged(probs: np.ndarray, thresholds: np.ndarray) -> float:
    """The share of clips with probabilities ``[clips, C]`` that have a tag."""
    return float((probs >= thresholds).any(1).mean()) if len(probs) else 0.0


def without_alike(
    examples: list[Example],
    others: list[Example],
    view: list[np.ndarray],
    single_label: bool,
) -> list[Example]:
    """Other sounds without the kinds that are, or sound like, a class.

    These are kinds whose sounds are mostly taken for one class by what is learnt
    without them.
    """
    kinds = np.array([x.kind for x in others], int)
    alike: list[int] = []
    for fold in range(KIND_FOLDS):
        is_left = kinds % KIND_FOLDS == fold
        rest = [others[x] for x in np.flatnonzero(~is_left)]
        classifier = learn_from(examples + rest, view, single_label)
        for kind in np.unique(kinds[is_left]):
            own = [others[x].centre for x in np.flatnonzero(kinds == kind)]
            logits = classifier.logits(np.stack(own))
            if not single_label:  # a last column for none of the classes
                logits = np.pad(logits, ((0, 0), (0, 1)))
            found = logits.argmax(1)
            found = found[found < classifier.n_classes]
            if len(found) and np.bincount(found).max() >= ALIKE * len(own):
                alike.append(kind)
    return [others[x] for x in np.flatnonzero(~np.isin(kinds, alike))]


def sort_by_doubt(
    examples: list[Example], probs: np.ndarray, measured: np.ndarray
) -> list[HeldOut]:
    """The clips whose labels differ most from their probabilities first."""
    clips = []
    for x, row in zip(examples, probs, strict=True):
        doubt = None
        if measured[x.target > 0].all():
            known = slice(None) if x.is_known is None else x.is_known
            doubt = float(np.abs(x.target - row)[known].max())
        clips.append(HeldOut(x.name, x.target, row, doubt))
    return sorted(
        clips,
        key=lambda clip: -1 if clip.doubt is None else clip.doubt,
        reverse=True,
    )


def targets_of(examples: list[Example]) -> np.ndarray:
    """Multi-hot labels ``[clips, C]``."""
    return np.stack([x.target for x in examples])


def learn_from(
    examples: list[Example], view: list[np.ndarray], single_label: bool
) -> ClipClassifier:
    """Learns a classifier from clips, by the first set of features.

    If each clip has one class, what tells classes apart is learnt from all sets.
    """
    counts = [len(x.rows) for x in examples]
    features = np.concatenate([x.rows for x in examples])
    if single_label:
        n_classes = len(examples[0].target)
        classes = np.repeat([x.class_index for x in examples], counts)
        found = [learn_classes(features, classes, n_classes, x) for x in view]
        if len(found) == 1:
            return found[0]
        return dataclasses.replace(found[0], identity=learn_identity(found))
    is_known = [
        np.ones(len(x.target), bool) if x.is_known is None else x.is_known
        for x in examples
    ]
    is_other = np.repeat([x.kind is not None for x in examples], counts)
    weights = np.ones(len(features))
    if is_other.any():
        weights[is_other] = (~is_other).sum() / is_other.sum()
    return learn_labels(
        features,
        targets_of(examples).repeat(counts, 0),
        np.repeat(is_known, counts, 0),
        weights,
        view[0],
    )


def cross_validate(
    examples: list[Example],
    folds: np.ndarray,
    view: list[np.ndarray],
    single_label: bool,
) -> tuple[ClipClassifier, np.ndarray]:
    """Classifies the clips of each fold by a classifier of the other folds.

    Returns a classifier of all clips, see ``learn_from``, and probabilities
    ``[clips, C]``. The calibration of a fold is found on the other folds.
    """
    of_all = learn_from(examples, view, single_label)
    of_folds = [
        learn_from(
            [x for x, own in zip(examples, folds, strict=True) if own != fold],
            view,
            single_label,
        )
        for fold in range(folds.max() + 1)
    ]
    if single_label:
        of_all, *of_folds = calibrate(of_all, of_folds, examples, folds)
    probs = np.zeros((len(folds), of_all.n_classes), np.float32)
    for fold, classifier in enumerate(of_folds):
        own = np.flatnonzero(folds == fold)
        probs[own] = classifier.probabilities([examples[x].spans for x in own])
    return of_all, probs


def soften(classifier: ClipClassifier, temperature: float) -> ClipClassifier:
    """A classifier calibrated by one temperature, for lack of clips to find it."""
    if classifier.identity is not None:
        identity = classifier.identity.calibrate(temperature)
        classifier = dataclasses.replace(classifier, identity=identity)
    return classifier.calibrate(temperature)


def calibrate(
    of_all: ClipClassifier,
    of_folds: list[ClipClassifier],
    examples: list[Example],
    folds: np.ndarray,
) -> list[ClipClassifier]:
    """Calibrates the classifiers of all clips and of folds, on held-out clips.

    That of a fold, on those of the other folds.
    """
    n_classes = of_all.n_classes
    features = np.stack([x.centre for x in examples])
    classes = np.array([x.class_index for x in examples])
    is_known = np.zeros(len(folds), bool)  # class is in the other folds
    for fold in range(len(of_folds)):
        own = folds == fold
        is_known[own] = np.isin(classes[own], classes[~own])
    is_known |= classes > n_classes  # all kinds are one class: none
    is_known &= ~np.array([x.is_reviewed for x in examples])

    def find(
        of_all: ClipClassifier,
        of_folds: list[ClipClassifier],
        is_used: np.ndarray,
    ) -> list[ClipClassifier]:
        """Calibrates classifiers on some of the clips."""
        logits = np.full((len(folds), len(of_all.bias)), -np.inf)
        for fold, classifier in enumerate(of_folds):
            found = classifier.logits(features[folds == fold])
            logits[folds == fold, : found.shape[1]] = found
        calibrated = []
        for fold, classifier in enumerate([of_all, *of_folds], start=-1):
            rows = is_used & (folds != fold)
            calibrated.append(
                classifier.calibrate(
                    *find_calibration(logits[rows], classes[rows], n_classes)
                )
            )
        return calibrated

    found = find(of_all, of_folds, is_known)
    if of_all.identity is None:
        return found
    identities = find(
        of_all.identity,
        [x.identity for x in of_folds if x.identity is not None],
        is_known & (classes < n_classes),
    )
    return [
        dataclasses.replace(x, identity=identity)
        for x, identity in zip(found, identities, strict=True)
    ]


def score_clips(
    examples: list[Example],
    probs: np.ndarray,
    tagged: np.ndarray,
    spectrum_probs: np.ndarray,
    spectrum_tagged: np.ndarray,
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
    examples : list of Example
    probs, tagged : numpy.ndarray
        Probabilities, and whether they reach the thresholds, ``[clips, C]``.
    spectrum_probs, spectrum_tagged : numpy.ndarray
        The same by log-mel statistics alone.
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
    targets = targets_of(examples)
    if measured is None:
        measured = np.ones(targets.shape[1], bool)
    of_all = score_arrays(targets, probs, tagged, measured)
    of_spectrum = score_arrays(
        targets, spectrum_probs, spectrum_tagged, measured
    )
    scores = {
        name: Score(value, of_spectrum[name]) for name, value in of_all.items()
    }
    n_groups = len({x.group for x in examples if not x.is_background})
    if n_groups < MIN_GROUPS:
        return scores
    numbers = np.unique([x.group for x in examples], return_inverse=True)[1]
    members = [np.flatnonzero(numbers == n) for n in range(numbers.max() + 1)]
    draw = np.random.default_rng(0)
    resampled = []
    for _ in range(RESAMPLES):
        drawn = draw.integers(len(members), size=len(members))
        rows = np.concatenate([members[number] for number in drawn])
        resampled.append(
            score_arrays(targets[rows], probs[rows], tagged[rows], measured)
        )
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
    targets: np.ndarray,
    probs: np.ndarray,
    tagged: np.ndarray,
    measured: np.ndarray,
) -> dict[str, float]:
    """The values of ``score_clips`` by name."""
    true = targets > 0.5
    scores = {}
    macro_f1 = f1_of_tags(true[:, measured], tagged[:, measured])["macro_F1"]
    if macro_f1 is not None:
        scores["macro_F1"] = macro_f1
    rows = true.any(1)
    if rows.any():
        scores["no_tag"] = float((~tagged[rows].any(1)).mean())
    if true.shape[1] > 1 and (true.sum(1) <= 1).all() and rows.any():
        right = probs[rows].argmax(1) == true[rows].argmax(1)
        scores["accuracy"] = float(right.mean())
    return scores


def find_confusions(
    labels: list[str],
    examples: list[Example],
    probs: np.ndarray,
    tagged: np.ndarray,
) -> list[Confusion]:
    """The pairs of classes that are confused most often.

    A clip counts if another class is more probable than its own. A clip without
    a class counts if it is tagged.
    """
    clips = defaultdict(list)
    for x, row, tags in zip(examples, probs, tagged, strict=False):
        others = np.where(x.target > 0.5, -1, row)
        other = others.argmax()
        own = np.flatnonzero(x.target > 0.5)
        wrong = [labels[c] for c in own if others[other] > row[c]]
        if x.is_background and tags[other]:
            wrong = ["background"]
        for label in wrong:
            clips[label, labels[other]].append(x.name)
    worst = sorted(clips.items(), key=lambda item: -len(item[1]))
    return [Confusion(*pair, own) for pair, own in worst[:MAX_CONFUSIONS]]
