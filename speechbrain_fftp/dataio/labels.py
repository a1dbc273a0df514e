"""Label statistics of a multi-label training set.

Authors
 * The speechbrain_fftp authors 2026
"""

from collections import Counter

import torch


def labels_of(dataset):
    """The labels of each clip of a prepared split, without reading audio.

    Arguments
    ---------
    dataset : speechbrain.dataio.dataset.DynamicItemDataset
        The split, with labels joined by ``;``.

    Returns
    -------
    list of list of str
        One list for each clip.

    Example
    -------
    >>> from speechbrain.dataio.dataset import DynamicItemDataset
    >>> labels_of(DynamicItemDataset({"a": {"labels": "Siren;Beep"}}))
    [['Siren', 'Beep']]
    """
    return [row["labels"].split(";") for row in dataset.data.values()]


def count_labels(clip_labels):
    """Number of clips that have each label.

    Arguments
    ---------
    clip_labels : iterable of list of str
        The labels of each clip.

    Returns
    -------
    collections.Counter
        From label to number of clips.

    Example
    -------
    >>> count_labels([["Siren"], ["Siren", "Beep"]])["Siren"]
    2
    """
    return Counter(label for row in clip_labels for label in set(row))


def prior_log_odds(counts, num_clips, labels):
    """Log-odds of each class in the training set.

    As the initial bias of a classifier they spare it the first hundreds of
    steps, which it would need to learn that almost all targets are 0.

    Arguments
    ---------
    counts : dict
        From label to number of training clips.
    num_clips : int
        Number of training clips.
    labels : list of str
        All classes.

    Returns
    -------
    torch.Tensor
        Log-odds ``[C]``, finite for classes without a clip too.

    Example
    -------
    >>> prior_log_odds({"Siren": 2, "Beep": 1}, 2, ["Siren", "Beep", "Hiss"])
    tensor([ 3.0445,  0.0000, -3.0445])
    """
    positive = torch.tensor([counts.get(k, 0) + 0.1 for k in labels])
    return torch.log(positive / (num_clips + 0.2 - positive))


def class_balanced_weight(row, counts):
    """How often to draw a clip, so that rare classes are seen more often.

    Arguments
    ---------
    row : list of str
        The labels of the clip.
    counts : dict
        From label to number of training clips.

    Returns
    -------
    float
        The sum over its labels of one over the label's count.

    Example
    -------
    >>> class_balanced_weight(["Siren", "Beep"], {"Siren": 2, "Beep": 1})
    1.5
    """
    return sum(1 / counts[label] for label in set(row))


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
    counts = count_labels(clip_labels)
    return {k for k, count in counts.items() if count < len(clip_labels)}
