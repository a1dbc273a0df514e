"""Scores of tags from arrays of labels and probabilities: mAP, AUC, d', F1.

Authors
 * The speechbrain_fftp authors 2026
"""

from statistics import NormalDist
from typing import Union

import numpy as np

# d' of a perfect ranking is infinite: an AUC is clipped this far from 1.
AUC_MARGIN = 1e-7


def d_prime(auc: float) -> float:
    """Sensitivity index of an area under the ROC curve, at most 7.35."""
    auc = min(max(auc, AUC_MARGIN), 1 - AUC_MARGIN)
    return float(np.sqrt(2) * NormalDist().inv_cdf(auc))


def tagging_metrics(targets: np.ndarray, scores: np.ndarray) -> dict:
    """Macro mAP, AUC and d' over the classes that only some clips have.

    Arguments
    ---------
    targets, scores : numpy.ndarray
        Multi-hot labels, and scores, of any scale, ``[clips, classes]``.

    Returns
    -------
    dict
        ``mAP``, ``AUC``, ``d_prime`` (of the mean AUC), ``num_classes_scored``,
        ``num_clips``, and ``per_class``: the index of each scored class and its
        ``AP``, ``AUC`` and ``positives``.

    Raises
    ------
    ValueError
        If the shapes differ, a score is not finite, or no class can be scored.

    Example
    -------
    >>> import pytest
    >>> _ = pytest.importorskip("sklearn")
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
    return {
        "mAP": float(np.mean([c["AP"] for c in per_class.values()])),
        "AUC": auc,
        "d_prime": d_prime(auc),
        "num_classes_scored": len(per_class),
        "num_clips": len(targets),
        "per_class": per_class,
    }


def f1_scores(
    targets: np.ndarray,
    probs: np.ndarray,
    thresholds: Union[float, np.ndarray],
) -> dict:
    """F1 of the tags whose probability reaches a threshold.

    Arguments
    ---------
    targets, probs : numpy.ndarray
        Multi-hot labels, and probabilities, ``[clips, classes]``.
    thresholds : float or numpy.ndarray
        One for all classes, or one for each.

    Returns
    -------
    dict
        ``micro_F1``, of all tags; ``macro_F1``, the mean over the classes that
        ``tagging_metrics`` scores; ``threshold``, a number or "per class". F1
        is 0 without positive clips and tags.

    Example
    -------
    >>> import pytest
    >>> _ = pytest.importorskip("sklearn")
    >>> targets, probs = np.array([[1], [0]]), np.array([[0.9], [0.2]])
    >>> f1_scores(targets, probs, 0.5)
    {'micro_F1': 1.0, 'macro_F1': 1.0, 'threshold': 0.5}
    """
    from sklearn.metrics import f1_score

    true = targets > 0.5
    tagged = probs >= np.asarray(thresholds, probs.dtype)
    macro = [
        f1_score(true[:, c], tagged[:, c], zero_division=0.0)
        for c in np.flatnonzero(true.any(0) & ~true.all(0))
    ]
    micro = f1_score(true.ravel(), tagged.ravel(), zero_division=0.0)
    return {
        "micro_F1": float(micro),
        "macro_F1": float(np.mean(macro)),
        "threshold": "per class" if np.ndim(thresholds) else thresholds,
    }
