"""Metrics of tagging from arrays: mAP, AUC and d'.

They measure how well a model ranks clips by the probability of a class, and are
means over the classes (https://arxiv.org/abs/1609.09430).

Authors
 * The speechbrain_fftp authors 2026
"""

from statistics import NormalDist
from typing import Any

import numpy as np


def precision_and_area(
    targets: np.ndarray, scores: np.ndarray
) -> tuple[float, float]:
    """Average precision and area under the ROC curve of a ranking of clips.

    Average precision is the sum over all thresholds of the precision, weighted
    by the increase in recall, as in scikit-learn. The area is the probability
    that a clip of the class has a higher score than a clip without it, where
    ties count one half.

    Arguments
    ---------
    targets : numpy.ndarray
        Labels ``[N]``; above 0.5 for clips of the class. There must be positive
        and negative clips.
    scores : numpy.ndarray
        Scores ``[N]`` of the clips, of any scale.

    Returns
    -------
    average_precision, area : float
        In 0..1.

    Example
    -------
    >>> precision_and_area(
    ...     np.array([1, 0, 0, 1]), np.array([0.9, 0.8, 0.7, 0.7])
    ... )
    (0.75, 0.625)
    """
    order = np.argsort(-scores)
    scores = scores[order]
    # For each distinct score, the number of clips with at least this score
    counts = np.append(np.flatnonzero(np.diff(scores)) + 1, len(scores))
    positives = (targets[order] > 0.5).cumsum()[counts - 1]
    negatives = counts - positives
    new_positives = np.diff(positives, prepend=0)
    new_negatives = np.diff(negatives, prepend=0)
    precision = positives / counts
    average_precision = new_positives @ precision / positives[-1]
    recall = (positives - new_positives / 2) / positives[-1]  # half of the ties
    area = new_negatives @ recall / negatives[-1]
    return float(average_precision), float(area)


def d_prime(auc: float, margin: float = 1e-7) -> float:
    """Sensitivity index of an area under the ROC curve.

    The distance between the means of two normal distributions of variance 1
    (the scores of positive and negative clips) with this area.

    Arguments
    ---------
    auc : float
        The area, in 0..1.
    margin : float
        It is clipped this far from 0 and 1, since d' of a perfect ranking is
        infinite.

    Returns
    -------
    float
        At most 7.35.

    Example
    -------
    >>> round(d_prime(0.975), 3)
    2.772
    """
    auc = min(max(auc, margin), 1 - margin)
    return 2**0.5 * NormalDist().inv_cdf(auc)


def ranking_metrics(targets: np.ndarray, probs: np.ndarray) -> dict[str, Any]:
    """Macro mAP, AUC and d' over classes with positive and negative clips.

    They are None if there is no such class.

    Arguments
    ---------
    targets, probs : numpy.ndarray
        Multi-hot labels, and probabilities, ``[clips, C]``.

    Returns
    -------
    dict
        ``mAP``, ``AUC``, ``d_prime`` (of the mean AUC),
        ``num_classes_scored``, ``num_clips``, and ``per_class``: ``AP``,
        ``AUC`` and ``positives`` by the index of a class.

    Example
    -------
    >>> targets = np.array([[1, 0], [0, 0]])
    >>> metrics = ranking_metrics(targets, np.array([[0.9, 0.1], [0.2, 0.3]]))
    >>> metrics["mAP"], metrics["num_classes_scored"]
    (1.0, 1)
    """
    positives = (targets > 0.5).sum(0)
    per_class = {}
    for c in np.flatnonzero((positives > 0) & (positives < len(targets))):
        precision, area = precision_and_area(targets[:, c], probs[:, c])
        per_class[int(c)] = {
            "AP": precision,
            "AUC": area,
            "positives": int(positives[c]),
        }
    means: dict[str, Any] = dict.fromkeys(("mAP", "AUC", "d_prime"))
    if per_class:
        auc = float(np.mean([row["AUC"] for row in per_class.values()]))
        means = {
            "mAP": float(np.mean([row["AP"] for row in per_class.values()])),
            "AUC": auc,
            "d_prime": d_prime(auc),
        }
    return {
        **means,
        "num_classes_scored": len(per_class),
        "num_clips": len(targets),
        "per_class": per_class,
    }
