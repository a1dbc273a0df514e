"""Probabilities of the time steps of files of any length.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

OVERLAP = 0.1  # of consecutive pieces, as a share of the maximum clip length


def _overlapping_pieces(tagger, step):
    """Size and hop in seconds of pieces of a file that are whole steps apart.

    They overlap by at least a patch and a step, so that no time step is missed;
    ``step`` and those of the tagger are in samples.
    """
    size, rate = tagger.max_samples, tagger.hparams.sample_rate
    overlap = max(OVERLAP * size, tagger.min_samples + step)
    hop = max(int(size - overlap) // step, 1) * step
    return size / rate, hop / rate


def _join_pieces(pieces):
    """Joins overlapping pieces of a file, each of which fades into the next.

    Each of the ``pieces``, in order, is the number of its first time step and
    probabilities ``[N, C]``. Returns probabilities ``[T, C]``.
    """
    size = max(first + len(probs) for first, probs in pieces)
    total = torch.zeros(size, pieces[0][1].shape[1])
    weights = torch.zeros(size, 1)
    for first, probs in pieces:
        step = torch.arange(len(probs)) + 1.0
        weight = torch.minimum(step, step.flip(0)).unsqueeze(1)
        total[first : first + len(probs)] += weight * probs
        weights[first : first + len(probs)] += weight
    return total / weights
