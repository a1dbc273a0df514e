"""Collects the predictions of a split, and scores them: mAP, AUC and d'.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import torch

from speechbrain.utils.distributed import is_distributed_initialized
from speechbrain_fftp.dataio.ranking import ranking_metrics


class TaggingMetrics:
    """Collects the predictions for the clips of a split, and scores them.

    Predictions of several processes are scored together, each clip once, though
    ``DistributedSampler`` gives some clips to two processes.

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
        self.scores = None

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
        probs, targets : numpy.ndarray
            Their probabilities and multi-hot labels ``[clips, C]``.
        """
        parts = [(self.ids, torch.cat(self.probs), torch.cat(self.targets))]
        if is_distributed_initialized():
            mine = parts[0]
            parts = [None] * torch.distributed.get_world_size()
            torch.distributed.all_gather_object(parts, mine)
        ids = [clip for part in parts for clip in part[0]]
        probs = torch.cat([part[1] for part in parts]).numpy()
        targets = torch.cat([part[2] for part in parts]).numpy()
        row_of = {clip: row for row, clip in enumerate(ids)}
        ids = sorted(row_of)
        rows = [row_of[clip] for clip in ids]
        return ids, probs[rows], targets[rows]

    def summarize(self, field=None):
        """Scores all clips, and keeps the scores in ``scores``.

        Arguments
        ---------
        field : str, optional
            The metric to return.

        Returns
        -------
        dict or float
            ``mAP``, ``AUC`` and ``d_prime``, or the value of ``field``; see
            ``ranking_metrics``, whose output ``scores`` is.

        Raises
        ------
        ValueError
            If a probability is not finite, or no class can be scored.
        """
        _, probs, targets = self.gather()
        if not np.isfinite(probs).all():
            raise ValueError("Some probabilities are NaN or infinite.")
        self.scores = ranking_metrics(targets, probs)
        if not self.scores["per_class"]:
            raise ValueError(
                "No class has both positive and negative clips in this split, "
                "so average precision is undefined: give it more clips."
            )
        if field is not None:
            return self.scores[field]
        return {name: self.scores[name] for name in ("mAP", "AUC", "d_prime")}
