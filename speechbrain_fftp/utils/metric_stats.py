"""Metrics of clips with any number of labels each: mAP, AUC and d'.

They measure how well a model ranks clips by the probability of a class, and are
means over the classes (https://arxiv.org/abs/1609.09430).

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

from speechbrain.utils.distributed import is_distributed_initialized
from speechbrain.utils.metric_stats import MetricStats


class MultiLabelStats(MetricStats):
    """Tracks mAP, AUC and d' of clips with any number of labels each.

    Predictions of several processes are scored together, each clip once, though
    ``DistributedSampler`` gives some clips to two processes.

    Example
    -------
    >>> stats = MultiLabelStats()
    >>> probs = torch.tensor([[0.9, 0.1], [0.2, 0.3]])
    >>> stats.append(["a", "b"], probs, torch.eye(2))
    >>> stats.summarize("mAP")
    1.0
    >>> stats.summarize()
    {'mAP': 1.0, 'AUC': 1.0, 'd_prime': 7.35...}
    """

    def __init__(self):
        self.clear()

    def clear(self):
        """Clears the stored predictions and statistics."""
        super().clear()
        self.targets = []
        self.per_class = {}

    def append(self, ids, probs, targets):
        """Stores the predictions of a batch.

        Arguments
        ---------
        ids : list of str
            The ids of the clips.
        probs, targets : torch.Tensor
            Probabilities and multi-hot labels ``[B, C]``.

        Raises
        ------
        ValueError
            If their shapes differ.
        """
        if probs.shape != targets.shape:
            raise ValueError(
                f"Probabilities {list(probs.shape)} and targets "
                f"{list(targets.shape)} differ in shape: the classifier and "
                "the label encoder must have the same number of classes."
            )
        self.ids.extend(ids)
        self.scores.append(probs.detach().float().cpu())
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
        parts = [(self.ids, torch.cat(self.scores), torch.cat(self.targets))]
        if is_distributed_initialized():
            mine = parts[0]
            parts = [None] * torch.distributed.get_world_size()
            torch.distributed.all_gather_object(parts, mine)
        ids, probs, targets = zip(*parts)
        row_of = {clip: n for n, clip in enumerate(sum(ids, []))}
        ids = sorted(row_of)
        rows = [row_of[clip] for clip in ids]
        return ids, torch.cat(probs)[rows], torch.cat(targets)[rows]

    def summarize(self, field=None):
        """Scores all clips.

        ``per_class`` is set to ``AP``, ``AUC`` and the number of ``positives``
        of each class that has positive and negative clips, by its index.

        Arguments
        ---------
        field : str, optional
            The statistic to return.

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
        self.per_class = {}
        for c in scored.nonzero().flatten().tolist():
            precision, area = score_ranking(probs[:, c], targets[:, c])
            self.per_class[c] = {
                "AP": precision,
                "AUC": area,
                "positives": positives[c].item(),
            }
        area = self._mean("AUC")
        # Of a perfect ranking, d' is infinite
        distance = torch.special.ndtri(
            torch.tensor(area, dtype=torch.float64).clamp(1e-7, 1 - 1e-7)
        )
        self.summary = {
            "mAP": self._mean("AP"),
            "AUC": area,
            "d_prime": 2**0.5 * distance.item(),
        }
        return self.summary if field is None else self.summary[field]

    def _mean(self, name):
        """The mean of a statistic over the scored classes."""
        values = [row[name] for row in self.per_class.values()]
        return sum(values) / len(values)

    def write_stats(self, filestream, verbose=False):
        """Writes the means, and a line for each class.

        Arguments
        ---------
        filestream : file-like object
            Where to write.
        verbose : bool
            Whether to print as well.
        """
        if not self.summary:
            self.summarize()
        lines = [f"{name}: {value}" for name, value in self.summary.items()]
        for c, row in self.per_class.items():
            lines.append(
                f"class {c}: AP {row['AP']:.4f}, AUC {row['AUC']:.4f}, "
                f"{row['positives']} positives"
            )
        message = "\n".join(lines) + "\n"
        filestream.write(message)
        if verbose:
            print(message)


def score_ranking(scores, targets):
    """Average precision and area under the ROC curve of a ranking of clips.

    Average precision is the sum over all thresholds of the precision, weighted
    by the increase in recall, as in scikit-learn. The area is the probability
    that a clip of the class has a higher score than a clip without it, where
    ties count one half.

    Arguments
    ---------
    scores : torch.Tensor
        Scores ``[N]`` of the clips, of any scale.
    targets : torch.Tensor
        Labels ``[N]``; above 0.5 for clips of the class. There must be positive
        and negative clips.

    Returns
    -------
    average_precision, area : float
        In 0..1.

    Example
    -------
    >>> scores, targets = torch.tensor([[0.9, 0.8, 0.7, 0.7], [1, 0, 0, 1]])
    >>> score_ranking(scores, targets)
    (0.75, 0.625)
    """
    scores, order = scores.sort(descending=True)
    # For each distinct score, the number of clips with at least this score
    _, counts = torch.unique_consecutive(scores, return_counts=True)
    counts = counts.cumsum(0)
    is_positive = (targets[order] > 0.5).double()
    positives = is_positive.cumsum(0)[counts - 1]
    negatives = counts - positives
    zero = positives.new_zeros(1)
    new_positives = positives.diff(prepend=zero)
    new_negatives = negatives.diff(prepend=zero)
    average_precision = new_positives @ (positives / counts) / positives[-1]
    recall = (positives - new_positives / 2) / positives[-1]  # half of the ties
    area = new_negatives @ recall / negatives[-1]
    return average_precision.item(), area.item()
