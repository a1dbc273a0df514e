"""Metrics of the clips of a split, collected batch by batch.

Authors
 * The speechbrain_fftp authors 2026
"""

from typing import Dict, List, Optional, Tuple, Union

import torch

from speechbrain.utils.distributed import is_distributed_initialized
from speechbrain_fftp.metrics.scores import tagging_metrics


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

    def append(
        self, ids: List[str], probs: torch.Tensor, targets: torch.Tensor
    ) -> None:
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

    def gather(self) -> Tuple[List[str], torch.Tensor, torch.Tensor]:
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

    def summarize(
        self, field: Optional[str] = None
    ) -> Union[Dict[str, float], float]:
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

    def summarize(
        self, field: Optional[str] = None
    ) -> Union[Dict[str, float], float]:
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
