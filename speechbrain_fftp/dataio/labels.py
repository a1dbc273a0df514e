"""Label statistics of a multi-label training set.

Authors
 * The speechbrain_fftp authors 2026
"""

from collections import Counter

import torch


def _count_clips(clip_labels):
    """Number of clips that have each label."""
    return Counter(label for row in clip_labels for label in set(row))


def prior_log_odds(clip_labels, labels):
    """Log-odds of each class in the training set.

    As the initial bias of a classifier they spare it the first hundreds of
    steps, which it would need to learn that almost all targets are 0.

    Arguments
    ---------
    clip_labels : list of list of str
        The labels of each clip.
    labels : list of str
        All classes.

    Returns
    -------
    torch.Tensor
        Log-odds ``[C]``, finite for classes without a clip too.

    Example
    -------
    >>> prior_log_odds([["Siren"], ["Siren", "Beep"]], ["Siren", "Beep"])
    tensor([3.0445, 0.0000])
    """
    counts = _count_clips(clip_labels)
    positive = torch.tensor([counts[label] + 0.1 for label in labels])
    return torch.log(positive / (len(clip_labels) + 0.2 - positive))


def class_balanced_weights(clip_labels):
    """How often to draw each clip, so that rare classes are seen more often.

    Arguments
    ---------
    clip_labels : list of list of str
        The labels of each clip.

    Returns
    -------
    list of float
        For each clip, the sum over its labels of one over the label's count.

    Example
    -------
    >>> class_balanced_weights([["Siren"], ["Siren", "Beep"]])
    [0.5, 1.5]
    """
    counts = _count_clips(clip_labels)
    return [sum(1 / counts[k] for k in set(row)) for row in clip_labels]


def scorable_labels(clip_labels):
    """Labels for which a split can be scored.

    Arguments
    ---------
    clip_labels : list of list of str
        The labels of each clip of the split.

    Returns
    -------
    set of str
        Those that some clips have and others lack.

    Example
    -------
    >>> scorable_labels([["Siren"], ["Siren", "Beep"]])
    {'Beep'}
    """
    counts = _count_clips(clip_labels)
    return {k for k, count in counts.items() if count < len(clip_labels)}
