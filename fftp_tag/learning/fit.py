"""Learns a classifier from samples, and classifies each by what was learnt from
others.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fftp_tag.learning.classifier import (
    ClipClassifier,
    find_calibration,
    learn_classes,
    learn_identity,
    learn_labels,
)
from fftp_tag.learning.features import Sample
from fftp_tag.learning.likeness import find_space, learn_likeness
from fftp_tag.learning.thresholds import (
    are_learnable,
    find_shift,
    learn_thresholds,
    shift_thresholds,
)
from fftp_tag.model.info import THRESHOLD

# In calibration, all sounds of the bank together count so much more than all clips
BANK_WEIGHT = 1.7
KIND_FOLDS = 5  # of the kinds of sounds of the bank
ALIKE = 0.75  # share of the sounds of a kind that are taken for one class

View = Sequence[np.ndarray]  # sets of columns of the features, see Views


class Answers(NamedTuple):
    """What a classifier says of samples."""

    probs: np.ndarray  # [samples, C]
    thresholds: np.ndarray  # what these must reach [samples, C]

    @property
    def tagged(self) -> np.ndarray:
        """Which classes reach their thresholds ``[samples, C]``."""
        return self.probs >= self.thresholds


class Fit(NamedTuple):
    """What is learnt from samples by one view of their features.

    Arguments
    ---------
    classifier : ClipClassifier
        Of all samples.
    thresholds : numpy.ndarray
        Of its classes ``[C]``.
    held_out : Answers
        Of each sample, by a classifier and thresholds of the other folds; of
        none, if folds are impossible.
    shift : float
        What was added to the logits of thresholds, see ``operate``.
    """

    classifier: ClipClassifier
    thresholds: np.ndarray
    held_out: Answers
    shift: float = 0.0

    def answers(self, samples: list[Sample]) -> Answers:
        """What it says of new samples."""
        probs = self.classifier.probabilities([x.spans for x in samples])
        return Answers(probs, np.tile(self.thresholds, (len(probs), 1)))

    def operate(
        self, samples: list[Sample], folds: np.ndarray, share: float
    ) -> "Fit":
        """A copy whose thresholds are shifted, so that a share of the held-out
        clips whose most probable class is right are tagged.

        Thresholds of a fold are shifted by the clips of the others.
        """
        targets, is_used = targets_of(samples), are_own(samples)
        probs, before = self.held_out

        def shift_by(rows: np.ndarray) -> float:
            """The shift that some of the clips need."""
            return find_shift(targets[rows], probs[rows], before[rows], share)

        after = np.empty_like(before)
        for fold in np.unique(folds):
            own = folds == fold
            after[own] = shift_thresholds(before[own], shift_by(is_used & ~own))
        shift = shift_by(is_used)
        thresholds = shift_thresholds(self.thresholds, shift)
        return Fit(self.classifier, thresholds, Answers(probs, after), shift)


def fit(
    samples: list[Sample],
    view: View,
    single_label: bool,
    folds: np.ndarray | None,
) -> Fit:
    """Learns a classifier and thresholds, and cross-validates both.

    If clips have one class each, or none, probabilities are calibrated, and the
    thresholds are 0.5; otherwise, thresholds are learnt.

    Arguments
    ---------
    samples : list of Sample
    view : list of numpy.ndarray
        Sets of columns of the features; what tells whether a clip has a class
        is learnt from the first, what tells classes apart from all. Likeness to
        clips counts if there are several.
    single_label : bool
        Whether each clip has one class, or none.
    folds : numpy.ndarray, optional
        The fold of each sample ``[samples]``; None: folds are impossible.
    """
    of_all = learn_from(samples, view, single_label)
    thresholds = np.full(of_all.n_classes, THRESHOLD, np.float32)
    if folds is None:
        if single_label:  # for lack of clips to find the temperature
            of_all = with_identity(
                of_all.guess_calibration(),
                of_all.identity and of_all.identity.guess_calibration(),
            )
        probs = np.zeros((0, of_all.n_classes), np.float32)
        return Fit(of_all, thresholds, Answers(probs, probs))
    of_folds = [
        learn_from(
            [x for x, own in zip(samples, folds, strict=True) if own != fold],
            view,
            single_label,
        )
        for fold in range(folds.max() + 1)
    ]
    if single_label:
        of_all, *of_folds = calibrate(of_all, of_folds, samples, folds)
    probs = np.zeros((len(samples), of_all.n_classes), np.float32)
    for fold, classifier in enumerate(of_folds):
        own = np.flatnonzero(folds == fold)
        probs[own] = classifier.probabilities([samples[x].spans for x in own])
    if single_label:
        of_samples = np.full_like(probs, THRESHOLD)
        return Fit(of_all, thresholds, Answers(probs, of_samples))
    thresholds, of_samples = cross_validate_thresholds(
        targets_of(samples), probs, np.where(are_own(samples), folds, -1)
    )
    return Fit(of_all, thresholds, Answers(probs, of_samples))


def targets_of(samples: list[Sample]) -> np.ndarray:
    """Multi-hot labels ``[samples, C]``."""
    return np.stack([x.target for x in samples])


def are_own(samples: list[Sample]) -> np.ndarray:
    """Whether samples are neither reviewed nor of the bank, ``[samples]``."""
    return np.array(
        [not x.clip.is_reviewed and not x.clip.kind for x in samples]
    )


def class_indices(samples: list[Sample], others: list[str]) -> np.ndarray:
    """The index of the class of each sample; from C on, its kind in ``others``."""
    return np.array(
        [
            len(x.target) + others.index(x.clip.kind)
            if x.is_background
            else x.target.argmax()
            for x in samples
        ]
    )


def kinds_of(samples: list[Sample]) -> list[str]:
    """What has no class: the kinds of the bank, and "" for background."""
    return list(dict.fromkeys(x.clip.kind for x in samples if x.is_background))


def learn_from(
    samples: list[Sample], view: View, single_label: bool
) -> ClipClassifier:
    """Learns a classifier, for whose arguments see ``fit``."""
    counts = [len(x.rows) for x in samples]
    features = np.concatenate([x.rows for x in samples])
    if single_label:
        others = kinds_of(samples)
        classes = class_indices(samples, others).repeat(counts)
        n_classes = len(samples[0].target)
        spaces = [find_space(features, classes, columns) for columns in view]
        found = [
            learn_classes(features, classes, n_classes, len(others), space)
            for space in spaces
        ]
        if len(found) == 1:
            return found[0]
        own = [x for x in samples if not x.is_background]
        likeness = learn_likeness(
            spaces[0],
            np.stack([x.centre for x in own]),
            class_indices(own, others),
            n_classes,
        )
        return dataclasses.replace(
            found[0], likeness=likeness, identity=learn_identity(found)
        )
    is_other = np.repeat([bool(x.clip.kind) for x in samples], counts)
    weights = np.ones(len(features))
    if is_other.any():
        weights[is_other] = (~is_other).sum() / is_other.sum()
    return learn_labels(
        features,
        targets_of(samples).repeat(counts, 0),
        np.repeat([x.is_known for x in samples], counts, 0),
        weights,
        view[0],
    )


def with_identity(
    classifier: ClipClassifier, identity: ClipClassifier | None
) -> ClipClassifier:
    """A copy of a classifier with another identity."""
    return dataclasses.replace(classifier, identity=identity)


def calibrate(
    of_all: ClipClassifier,
    of_folds: list[ClipClassifier],
    samples: list[Sample],
    folds: np.ndarray,
) -> list[ClipClassifier]:
    """Calibrates the classifiers of all samples and of folds, on held-out samples.

    That of a fold, on those of the other folds.
    """
    n_classes = of_all.n_classes
    features = np.stack([x.centre for x in samples])
    is_other = np.array([bool(x.clip.kind) for x in samples])
    kinds = class_indices(samples, kinds_of(samples))
    classes = np.minimum(kinds, n_classes)
    is_known = is_other.copy()  # or its class is in the other folds
    for fold in range(len(of_folds)):
        own = folds == fold
        others = classes[~own & ~is_other]
        is_known[own & ~is_other] = np.isin(classes[own & ~is_other], others)
    is_known &= ~np.array([x.clip.is_reviewed for x in samples])

    def find(
        of_all: ClipClassifier,
        of_folds: list[ClipClassifier],
        is_used: np.ndarray,
    ) -> list[ClipClassifier]:
        """Calibrates classifiers on some of the samples."""
        # Without kinds that are not in the other folds
        logits = np.full((len(folds), len(of_all.bias)), -np.inf)
        for fold, classifier in enumerate(of_folds):
            found = classifier.logits(features[folds == fold])
            logits[folds == fold, : found.shape[1]] = found
        calibrated = []
        for fold, classifier in enumerate([of_all, *of_folds], start=-1):
            rows = is_used & (folds != fold)
            if not (rows & ~is_other).any():
                calibrated.append(classifier.guess_calibration())
                continue
            ratio = (~is_other[rows]).sum() / max(is_other[rows].sum(), 1)
            weights = np.where(is_other[rows], BANK_WEIGHT * ratio, 1.0)
            calibration = find_calibration(
                logits[rows], classes[rows], weights, n_classes
            )
            calibrated.append(classifier.calibrate(*calibration))
        return calibrated

    found = find(of_all, of_folds, is_known)
    if of_all.identity is None:
        return found
    identities = find(
        of_all.identity,
        [x.identity for x in of_folds if x.identity is not None],
        is_known & (classes < n_classes),
    )
    return list(map(with_identity, found, identities))


def cross_validate_thresholds(
    targets: np.ndarray, probs: np.ndarray, folds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Thresholds ``[C]``, and those of each clip, by the other folds, ``[clips, C]``.

    ``targets`` and ``probs`` are ``[clips, C]``; nothing is learnt from clips of
    the fold -1.
    """

    def learn(is_used: np.ndarray) -> np.ndarray:
        """The thresholds by some of the clips."""
        rows = is_used & (folds >= 0)
        return learn_thresholds(targets[rows], probs[rows], learnable)

    learnable = are_learnable(targets[folds >= 0])
    of_clips = np.empty(probs.shape, np.float32)
    for fold in np.unique(folds):
        own = folds == fold
        of_clips[own] = learn(~own)
    return learn(folds >= 0), of_clips


def without_alike(
    samples: list[Sample], view: View, single_label: bool
) -> list[Sample]:
    """Samples without the kinds of the bank that are, or sound like, a class.

    These are kinds whose sounds are mostly taken for one class by what is learnt
    without them.
    """
    kinds = [kind for kind in kinds_of(samples) if kind]
    alike: set[str] = set()
    for fold in range(KIND_FOLDS):
        left = kinds[fold::KIND_FOLDS]
        if not left:
            continue
        rest = [x for x in samples if x.clip.kind not in left]
        classifier = learn_from(rest, view[:1], single_label)
        for kind in left:
            own = [x.centre for x in samples if x.clip.kind == kind]
            logits = classifier.logits(np.stack(own))
            if not single_label:  # a last column for none of the classes
                logits = np.pad(logits, ((0, 0), (0, 1)))
            found = logits.argmax(1)
            found = found[found < classifier.n_classes]
            if len(found) and np.bincount(found).max() >= ALIKE * len(own):
                alike.add(kind)
    return [x for x in samples if x.clip.kind not in alike]
