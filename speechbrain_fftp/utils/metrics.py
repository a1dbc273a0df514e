"""Metrics of audio tagging, where a clip has any number of classes.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
from scipy.stats import norm

# d' of a perfect ranking is infinite: an AUC is clipped this far from 1.
AUC_MARGIN = 1e-7
# Positive clips that a class needs for a threshold of its own
MIN_POSITIVES = 5


def _d_prime(auc):
    """Sensitivity index of an area under the ROC curve, at most 7.35."""
    auc = min(max(auc, AUC_MARGIN), 1 - AUC_MARGIN)
    return float(np.sqrt(2) * norm.ppf(auc))


def tagging_metrics(targets, scores, thresholds=None):
    """Macro mAP, AUC and d' over the classes that can be scored, and F1.

    A class can be scored if some clips have it and others do not. The other
    classes are not part of the means.

    Arguments
    ---------
    targets, scores : numpy.ndarray
        Multi-hot labels, and scores, of any scale, ``[clips, classes]``.
    thresholds : float or numpy.ndarray, optional
        Those for ``f1_scores``.

    Returns
    -------
    dict
        ``mAP``, ``AUC``, ``d_prime`` (of the mean AUC), ``num_classes_scored``,
        ``num_clips``, and ``per_class``, which maps the index of each scored
        class to its ``AP``, ``AUC`` and ``positives``. With thresholds, also
        ``micro_F1``, ``macro_F1``, and ``threshold``, a number or "per class".

    Raises
    ------
    ValueError
        If the shapes differ, a score is not finite, or no class can be scored.

    Example
    -------
    >>> targets = np.array([[1, 0], [0, 0], [1, 0]])
    >>> scores = np.array([[0.9, 0.1], [0.5, 0.2], [0.4, 0.3]])
    >>> metrics = tagging_metrics(targets, scores)
    >>> round(metrics["mAP"], 3), metrics["num_classes_scored"]
    (0.833, 1)
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    if targets.shape != scores.shape:
        raise ValueError(
            f"Targets {targets.shape} and scores {scores.shape} differ in "
            "shape: the classifier and the label encoder must have the same "
            "number of classes."
        )
    positives = (targets > 0.5).sum(0)
    per_class = {
        int(c): {
            "AP": float(average_precision_score(targets[:, c], scores[:, c])),
            "AUC": float(roc_auc_score(targets[:, c], scores[:, c])),
            "positives": int(positives[c]),
        }
        for c in np.flatnonzero((positives > 0) & (positives < len(targets)))
    }
    if not per_class:
        raise ValueError(
            "No class has both positive and negative clips in this split, so "
            "average precision is undefined: give it more clips."
        )
    auc = float(np.mean([c["AUC"] for c in per_class.values()]))
    f1 = {}
    if thresholds is not None:
        f1["micro_F1"], f1["macro_F1"], _ = f1_scores(
            targets, scores, thresholds
        )
        f1["threshold"] = "per class" if np.ndim(thresholds) else thresholds
    return {
        "mAP": float(np.mean([c["AP"] for c in per_class.values()])),
        "AUC": auc,
        "d_prime": _d_prime(auc),
        **f1,
        "num_classes_scored": len(per_class),
        "num_clips": len(targets),
        "per_class": per_class,
    }


def f1_scores(targets, probs, thresholds):
    """F1 of the tags whose probability reaches a threshold.

    Arguments
    ---------
    targets, probs : numpy.ndarray
        Multi-hot labels, and probabilities, ``[clips, classes]``.
    thresholds : float or numpy.ndarray
        The same for all classes, or one for each of them.

    Returns
    -------
    micro, macro : float
        F1 of all tags, and the mean over the classes that ``tagging_metrics``
        scores.
    per_class : list of float
        F1 of each class; 0 without positive clips and tags.

    Example
    -------
    >>> targets = np.array([[1, 0], [1, 1], [0, 0]])
    >>> probs = np.array([[0.9, 0.7], [0.2, 0.6], [0.1, 0.5]])
    >>> micro, macro, per_class = f1_scores(targets, probs, [0.5, 0.6])
    >>> round(micro, 3), round(macro, 3)
    (0.667, 0.667)
    """
    from sklearn.metrics import f1_score

    true, found = targets > 0.5, probs >= np.asarray(thresholds, probs.dtype)
    micro, *per_class = (
        float(f1_score(*pair, zero_division=0.0))
        for pair in [(true.ravel(), found.ravel()), *zip(true.T, found.T)]
    )
    scored = true.any(0) & ~true.all(0)
    return micro, float(np.mean(np.array(per_class)[scored])), per_class


def best_thresholds(targets, probs, min_positives=MIN_POSITIVES):
    """Learns the threshold of each class that maximises its F1.

    Classes with few positive clips share one threshold: that which maximises
    the F1 of all tags of the other classes or, if there are no others, of all
    classes.

    Arguments
    ---------
    targets, probs : numpy.ndarray
        Multi-hot labels, and probabilities, ``[clips, classes]``.
    min_positives : int
        Number of positive clips, at least 1, for a threshold of its own.

    Returns
    -------
    numpy.ndarray
        Thresholds ``[classes]``, float32, above 0.

    Raises
    ------
    ValueError
        If there is no positive clip.

    Example
    -------
    >>> targets = np.array([[1, 0], [1, 0], [0, 0], [0, 1]])
    >>> probs = np.array([[0.75, 0.0], [0.25, 0.5], [0.125, 0.25], [0.0, 0.5]])
    >>> best_thresholds(targets, probs, min_positives=2).tolist()
    [0.1875, 0.1875]
    """
    true, probs = targets > 0.5, np.asarray(probs, np.float32)
    if not true.any():
        raise ValueError("No clip has any class: there is nothing to learn.")
    enough = true.sum(0) >= max(min_positives, 1)
    pool = enough if enough.any() else enough | True
    shared = _best_threshold(true[:, pool].ravel(), probs[:, pool].ravel())
    own = (
        _best_threshold(*column) if many else shared
        for many, *column in zip(enough, true.T, probs.T)
    )
    return np.array(list(own), np.float32)


def _best_threshold(true, probs):
    """The threshold of maximum F1, the highest one if there are several.

    It is half way from the lowest probability that reaches it to the next lower
    one, or to 0. A probability of 0 never reaches it.
    """
    from sklearn.metrics import precision_recall_curve

    precision, recall, probs = precision_recall_curve(true, probs)
    precision, recall = precision[:-1], recall[:-1]
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    f1 = np.where(probs > 0, f1.round(12), 0.0)  # ties are equal
    best = np.flatnonzero(f1 == f1.max())[-1]
    high, low = probs[best], probs[best - 1] if best else np.float32(0)
    middle = low + (high - low) / 2
    return max(middle if middle > low else high, np.finfo(np.float32).tiny)
