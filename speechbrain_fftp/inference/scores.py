"""Scores of tags from arrays of labels and probabilities: mAP, AUC, d', F1.

Authors
 * The speechbrain_fftp authors 2026
"""

from statistics import NormalDist
from typing import Union

import numpy as np


def tagging_metrics(targets: np.ndarray, scores: np.ndarray) -> dict:
    """Macro mAP, AUC and d' over the classes that only some clips have.

    ``targets`` are multi-hot labels and ``scores`` of any scale, both ``[clips,
    classes]``. Returns ``mAP``, ``AUC``, ``d_prime`` (of the mean AUC),
    ``num_classes_scored``, ``num_clips``, and ``per_class``: ``AP``, ``AUC`` and
    ``positives`` by the index of a class. A ValueError says that no class can
    be scored, or that a score is not finite.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

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
    # d' of a perfect ranking is infinite
    bounded = min(max(auc, 1e-7), 1 - 1e-7)
    return {
        "mAP": float(np.mean([c["AP"] for c in per_class.values()])),
        "AUC": auc,
        "d_prime": 2**0.5 * NormalDist().inv_cdf(bounded),
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

    ``thresholds`` is one for all classes, or one for each. Returns ``micro_F1``,
    of all tags; ``macro_F1``, the mean over the classes that
    ``tagging_metrics`` scores; ``threshold``, a number or "per class". F1 is 0
    without positive clips and tags.
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
