"""Measures what a classifier makes of sounds that it has not learnt, by kind.

Sounds of the bank are mostly far from those of a user, whose own classes are near
each other: each class is also left out in turn, and its clips are then unknown.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from fftp_tag.learning.classifier import ClipClassifier
from fftp_tag.learning.features import Sample
from fftp_tag.learning.fit import Fit, View, learn_from, with_identity
from fftp_tag.score.intervals import exact_interval

CLASS_FOLDS = 5  # of classes that are left out together
MIN_KINDS = 3  # for an interval
# The area under the ROC curve, below which a class is not told from what is unknown
MIN_AUC = 0.6


class Unknown(NamedTuple):
    """How many clips of kinds that are not learnt from are tagged.

    Arguments
    ---------
    share : float
        The mean over kinds.
    low, high : float, optional
        Its interval (95 %), in which that of as many other kinds will be; None:
        there are too few kinds.
    worst : str
        The kind of which most clips are tagged.
    worst_share : float
        How many of these.
    """

    share: float
    low: float | None
    high: float | None
    worst: str
    worst_share: float


def summarise(kinds: list[str], tagged: np.ndarray) -> Unknown | None:
    """Summarises which tags clips get, ``[clips, C]``, by their kinds.

    The interval is Student's t over kinds or, if all kinds are alike, the exact one
    of as many, widened by the square root of 2 because the share of other kinds
    varies as well.
    """
    from scipy.stats import t

    names = sorted(set(kinds))
    if not names:
        return None
    of_clips = np.array(kinds)
    shares = np.array(
        [tagged[of_clips == name].any(1).mean() for name in names]
    )
    mean, count = float(shares.mean()), len(shares)
    low = high = None
    if count >= MIN_KINDS:
        half = t.ppf(0.975, count - 1) * shares.std(ddof=1) / np.sqrt(count)
        ends = np.array([mean - half, mean + half])
        if half == 0:
            ends = np.array(exact_interval(mean, count))
        ends = mean + np.sqrt(2) * (ends - mean)
        low, high = ends.clip(0, 1).tolist()
    worst = int(shares.argmax())
    return Unknown(mean, low, high, names[worst], float(shares[worst]))


def without_class(
    fitted: Fit, samples: list[Sample], view: View
) -> tuple[np.ndarray, np.ndarray]:
    """What clips are taken for by a classifier that has not learnt their class.

    It has the calibration of the classifier of all classes.

    Arguments
    ---------
    fitted : Fit
        What is learnt from the samples, of which each has one class or none.
    samples : list of Sample
    view : list of numpy.ndarray
        See ``fit``.

    Returns
    -------
    rows : numpy.ndarray
        The indices of the clips with a class, ``[clips]``.
    probs : numpy.ndarray
        Their probabilities ``[clips, C]``, 0 of classes that are left out.
    """
    classes = np.array(
        [-1 if x.is_background else x.target.argmax() for x in samples]
    )
    n_classes = fitted.classifier.n_classes
    n_folds = min(CLASS_FOLDS, n_classes)
    rows = np.flatnonzero(classes >= 0)
    probs = np.zeros((len(samples), n_classes), np.float32)
    calibrated = fitted.classifier
    for fold in range(n_folds):
        left = (classes >= 0) & (classes % n_folds == fold)
        rest = [x for x, out in zip(samples, left, strict=True) if not out]
        own = np.flatnonzero(left)
        if not len(own) or all(x.is_background for x in rest):
            continue
        found = learn_from(rest, view, True)
        gone = np.arange(n_classes) % n_folds == fold
        identity = found.identity
        if identity is not None and calibrated.identity is not None:
            identity = as_calibrated(identity, calibrated.identity, gone)
        found = as_calibrated(found, calibrated, gone)
        found = with_identity(found, identity)
        probs[own] = found.probabilities([samples[x].spans for x in own])
    return rows, probs[rows]


def as_calibrated(
    classifier: ClipClassifier, other: ClipClassifier, gone: np.ndarray
) -> ClipClassifier:
    """A copy that is calibrated as another classifier is, without the classes
    ``gone``, whether of ``[C]``.
    """
    bias = classifier.bias.copy()
    bias[: len(gone)][gone] = -np.inf
    classifier = dataclasses.replace(
        classifier, bias=bias, likeness=other.likeness and classifier.likeness
    )
    return classifier.calibrate(other.temperature, other.offset)


def find_lookalikes(
    labels: list[str],
    own_classes: np.ndarray,
    own_probs: np.ndarray,
    unknown_probs: np.ndarray,
) -> list[str]:
    """The classes that clips of left-out classes cannot be told from.

    Arguments
    ---------
    labels : list of str
        Names of the C classes.
    own_classes, own_probs : numpy.ndarray
        The class of held-out clips ``[clips]``, and their probabilities
        ``[clips, C]``.
    unknown_probs : numpy.ndarray
        Of the same clips, by what has not learnt their class.
    """
    from sklearn.metrics import roc_auc_score

    found = []
    for c, label in enumerate(labels):
        own = own_probs[own_classes == c, c]
        others = unknown_probs[unknown_probs.argmax(1) == c, c]
        if len(own) < MIN_KINDS or len(others) < MIN_KINDS:
            continue
        is_own = np.repeat([True, False], [len(own), len(others)])
        if roc_auc_score(is_own, np.append(own, others)) < MIN_AUC:
            found.append(label)
    return found
