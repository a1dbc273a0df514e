"""Metrics of audio tagging, where a clip has any number of classes.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import torch
from scipy.stats import norm

from speechbrain.utils.distributed import is_distributed_initialized

# d' of a perfect ranking is infinite: an AUC is clipped this far from 1.
AUC_MARGIN = 1e-7


def _d_prime(auc):
    """Sensitivity index of an area under the ROC curve, at most 7.35."""
    auc = min(max(auc, AUC_MARGIN), 1 - AUC_MARGIN)
    return float(np.sqrt(2) * norm.ppf(auc))


def tagging_metrics(targets, scores):
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
        "d_prime": _d_prime(auc),
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


class ClipMetrics:
    """Collects what a model predicts for the clips of a split.

    With several processes, each collects the clips that it sees, and all are
    scored together: each clip once, though ``DistributedSampler`` gives some
    to two processes. Subclasses say what ``summarize`` computes.

    Example
    -------
    >>> metrics = ClipMetrics()
    >>> metrics.append(["b", "a"], torch.rand(2, 3), torch.eye(3)[:2])
    >>> ids, probs, targets = metrics.gather()
    >>> ids
    ['a', 'b']
    >>> targets
    tensor([[0., 1., 0.],
            [1., 0., 0.]])
    """

    def __init__(self):
        self.ids = []
        self.probs = []
        self.targets = []

    def append(self, ids, probs, targets):
        """Adds a batch.

        Arguments
        ---------
        ids : list of str
            The ids of its clips.
        probs, targets : torch.Tensor
            Probabilities, and multi-hot labels, ``[B, C]``.
        """
        self.ids.extend(ids)
        self.probs.append(probs.detach().float().cpu())
        self.targets.append(targets.detach().float().cpu())

    def gather(self):
        """Gathers the clips of all processes.

        Returns
        -------
        ids : list of str
            The ids of the clips, sorted.
        probs, targets : torch.Tensor
            Their rows ``[clips, C]``.
        """
        parts = [(self.ids, torch.cat(self.probs), torch.cat(self.targets))]
        if is_distributed_initialized():
            mine = parts[0]
            parts = [None] * torch.distributed.get_world_size()
            torch.distributed.all_gather_object(parts, mine)
        ids = [clip for part in parts for clip in part[0]]
        probs = torch.cat([part[1] for part in parts])
        targets = torch.cat([part[2] for part in parts])
        row_of = {clip: row for row, clip in enumerate(ids)}
        ids = sorted(row_of)
        rows = [row_of[clip] for clip in ids]
        return ids, probs[rows], targets[rows]


class TaggingMetrics(ClipMetrics):
    """mAP, AUC and d' of clips with any number of labels.

    Example
    -------
    >>> import pytest
    >>> _ = pytest.importorskip("sklearn")
    >>> metrics = TaggingMetrics()
    >>> probs, targets = torch.tensor([[0.9], [0.2]]), torch.eye(2)[:, :1]
    >>> metrics.append(["a", "b"], probs, targets)
    >>> metrics.summarize("mAP")
    1.0
    """

    def summarize(self, field=None):
        """Scores all clips.

        Arguments
        ---------
        field : str, optional
            The metric to return.

        Returns
        -------
        dict or float
            ``mAP``, ``AUC`` and ``d_prime``, see ``tagging_metrics``; or only
            the ``field`` of them.
        """
        _, probs, targets = self.gather()
        metrics = tagging_metrics(targets.numpy(), probs.numpy())
        summary = {key: metrics[key] for key in ("mAP", "AUC", "d_prime")}
        return summary if field is None else summary[field]


class AccuracyMetrics(ClipMetrics):
    """Accuracy of clips with one label each.

    Example
    -------
    >>> metrics = AccuracyMetrics()
    >>> probs = torch.tensor([[0.9, 0.1], [0.6, 0.4]])
    >>> metrics.append(["a", "b"], probs, torch.eye(2))
    >>> metrics.summarize("accuracy")
    0.5
    """

    def summarize(self, field=None):
        """Scores all clips.

        Arguments
        ---------
        field : str, optional
            The metric to return.

        Returns
        -------
        dict or float
            ``accuracy``, the share of clips whose most probable class is their
            label; as a number if it is the ``field``.
        """
        _, probs, targets = self.gather()
        correct = probs.argmax(1) == targets.argmax(1)
        summary = {"accuracy": correct.float().mean().item()}
        return summary if field is None else summary[field]
