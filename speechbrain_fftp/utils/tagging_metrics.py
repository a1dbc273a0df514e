"""Metrics of audio tagging with several labels per clip: mAP, AUC and d'.

They measure how well a model ranks clips by the probability of a class, and are
means over the classes (https://arxiv.org/abs/1609.09430).

Authors
 * The speechbrain_fftp authors 2026
"""

from statistics import NormalDist

import torch

from speechbrain.utils.distributed import is_distributed_initialized

# d' of a perfect ranking is infinite: an AUC is clipped this far from 0 and 1.
AUC_MARGIN = 1e-7


def count_ranked(scores, targets):
    """Counts the clips at or above each distinct score.

    Arguments
    ---------
    scores : torch.Tensor
        Scores ``[N]`` of the clips, of any scale.
    targets : torch.Tensor
        Labels ``[N]``; above 0.5 for clips of the class.

    Returns
    -------
    counts, positives : torch.Tensor
        Number of clips, and of clips of the class, in float64, from the highest
        to the lowest distinct score.

    Example
    -------
    >>> counts, positives = count_ranked(
    ...     torch.tensor([0.1, 0.7, 0.9, 0.7]), torch.tensor([0, 1, 1, 0])
    ... )
    >>> counts.tolist(), positives.tolist()
    ([1.0, 3.0, 4.0], [1.0, 2.0, 2.0])
    """
    scores, order = scores.sort(descending=True)
    _, sizes = scores.unique_consecutive(return_counts=True)
    counts = sizes.cumsum(0)
    positives = (targets[order] > 0.5).cumsum(0)[counts - 1]
    return counts.double(), positives.double()


def average_precision(scores, targets):
    """Average precision of a ranking of clips.

    The sum over all thresholds of the precision, weighted by the increase in
    recall, as in scikit-learn.

    Arguments
    ---------
    scores : torch.Tensor
        Scores ``[N]`` of the clips, of any scale.
    targets : torch.Tensor
        Labels ``[N]``; above 0.5 for clips of the class, at least one.

    Returns
    -------
    float
        In 0..1.

    Example
    -------
    >>> scores = torch.tensor([0.9, 0.8, 0.7, 0.6])
    >>> average_precision(scores, torch.tensor([1, 0, 0, 1]))
    0.75
    """
    counts, positives = count_ranked(scores, targets)
    found = positives.diff(prepend=positives.new_zeros(1))
    return float((found * positives / counts).sum() / positives[-1])


def area_under_roc(scores, targets):
    """Area under the ROC curve of a ranking of clips.

    The probability that a clip of the class has a higher score than a clip
    without it, where ties count one half.

    Arguments
    ---------
    scores : torch.Tensor
        Scores ``[N]`` of the clips, of any scale.
    targets : torch.Tensor
        Labels ``[N]``; above 0.5 for clips of the class. There must be positive
        and negative clips.

    Returns
    -------
    float
        In 0..1.

    Example
    -------
    >>> scores = torch.tensor([0.9, 0.8, 0.7, 0.7])
    >>> area_under_roc(scores, torch.tensor([1, 0, 0, 1]))
    0.625
    """
    counts, positives = count_ranked(scores, targets)
    zero = counts.new_zeros(1)
    recall = torch.cat([zero, positives / positives[-1]])
    negatives = counts - positives
    false_alarms = torch.cat([zero, negatives / negatives[-1]])
    return float(torch.trapezoid(recall, false_alarms))


def d_prime(auc):
    """Sensitivity index of an area under the ROC curve.

    The distance between the means of two normal distributions of variance 1
    (the scores of positive and negative clips) with this area.

    Arguments
    ---------
    auc : float
        The area, in 0..1.

    Returns
    -------
    float
        At most 7.35.

    Example
    -------
    >>> round(d_prime(0.975), 3)
    2.772
    """
    auc = min(max(auc, AUC_MARGIN), 1 - AUC_MARGIN)
    return 2**0.5 * NormalDist().inv_cdf(auc)


class TaggingMetrics:
    """Collects the predictions for the clips of a split, and scores them.

    Predictions of several processes are scored together, each clip once, though
    ``DistributedSampler`` gives some clips to two processes. Classes without
    both positive and negative clips are not scored.

    Example
    -------
    >>> metrics = TaggingMetrics()
    >>> probs = torch.tensor([[0.9, 0.1], [0.2, 0.3]])
    >>> metrics.append(["a", "b"], probs, torch.eye(2))
    >>> metrics.summarize("mAP")
    1.0
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
            The ids of the clips.
        probs, targets : torch.Tensor
            Probabilities and multi-hot labels ``[B, C]``.
        """
        if probs.shape != targets.shape:
            raise ValueError(
                f"Probabilities {list(probs.shape)} and targets "
                f"{list(targets.shape)} differ in shape: the classifier and "
                "the label encoder must have the same number of classes."
            )
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
            Their probabilities and multi-hot labels ``[clips, C]``.
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

    def summarize(self, field=None):
        """Scores all clips.

        Arguments
        ---------
        field : str, optional
            The metric to return.

        Returns
        -------
        dict or float
            ``mAP``, ``AUC`` and ``d_prime`` (of the mean AUC), or the value of
            ``field``.

        Raises
        ------
        ValueError
            If a probability is not finite, or no class can be scored.
        """
        _, probs, targets = self.gather()
        if not probs.isfinite().all():
            raise ValueError("Some probabilities are NaN or infinite.")
        positives = (targets > 0.5).sum(0)
        scored = (positives > 0) & (positives < len(targets))
        if not scored.any():
            raise ValueError(
                "No class has both positive and negative clips in this split, "
                "so average precision is undefined: give it more clips."
            )
        precisions, areas = [], []
        for c in scored.nonzero().flatten().tolist():
            precisions.append(average_precision(probs[:, c], targets[:, c]))
            areas.append(area_under_roc(probs[:, c], targets[:, c]))
        auc = sum(areas) / len(areas)
        summary = {
            "mAP": sum(precisions) / len(precisions),
            "AUC": auc,
            "d_prime": d_prime(auc),
        }
        return summary if field is None else summary[field]
