"""Label statistics of a multi-label data set.

Authors
 * The speechbrain_fftp authors 2026
"""

from collections import Counter

import torch


def count_labels(rows):
    """Counts the clips that have each label.

    Arguments
    ---------
    rows : iterable of list of str
        The labels of each clip.

    Returns
    -------
    collections.Counter
        Maps each label to its number of clips.

    Example
    -------
    >>> count_labels([["Siren"], ["Siren", "Beep"]])["Siren"]
    2
    """
    return Counter(label for row in rows for label in set(row))


def prior_log_odds(counts, num_clips, labels):
    """Log-odds of each class in the training set.

    As the initial bias of a classifier, they save the first hundreds of steps,
    in which it would learn that almost all targets are 0.

    Arguments
    ---------
    counts : dict
        Number of training clips with each label.
    num_clips : int
        Number of training clips.
    labels : list of str
        All classes.

    Returns
    -------
    torch.Tensor
        Log-odds ``[C]``, also finite for classes without clips.

    Example
    -------
    >>> prior_log_odds({"Siren": 2, "Beep": 1}, 2, ["Siren", "Beep", "Hiss"])
    tensor([ 3.0445,  0.0000, -3.0445])
    """
    positive = torch.tensor([counts.get(k, 0) + 0.1 for k in labels])
    return torch.log(positive / (num_clips + 0.2 - positive))


def class_balanced_weight(row, counts):
    """Sampling weight of a clip that draws rare classes more often.

    Arguments
    ---------
    row : list of str
        The labels of the clip.
    counts : dict
        Number of training clips with each label.

    Returns
    -------
    float
        The sum of ``1 / count`` over its labels.

    Example
    -------
    >>> class_balanced_weight(["Siren", "Beep"], {"Siren": 2, "Beep": 1})
    1.5
    """
    return sum(1 / counts[label] for label in set(row))
