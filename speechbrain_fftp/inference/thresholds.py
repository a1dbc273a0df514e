"""Thresholds of a model, one for each class: learned, written and read.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
from pathlib import Path

import numpy as np

from speechbrain_fftp.dataio.files import write_csv

THRESHOLDS = "thresholds.csv"
HEADER = ["label", "threshold", "positives", "f1"]
DEFAULT = 0.5
MIN_POSITIVES = 5  # clips that a class needs for another threshold


def learn_thresholds(labels, targets, probs, min_positives=MIN_POSITIVES):
    """Learns the threshold of each class that maximises its F1.

    That of a class with few positive clips, which say little, is 0.5.

    Arguments
    ---------
    labels : list of str
        Names of the C classes.
    targets, probs : numpy.ndarray or torch.Tensor
        Multi-hot labels and probabilities, ``[clips, C]``.
    min_positives : int
        Clips that a class needs for another threshold than 0.5.

    Returns
    -------
    list of tuple
        The rows of thresholds.csv: label, threshold (above 0), positive clips
        and F1.
    """
    from sklearn.metrics import f1_score

    is_true = np.asarray(targets) > 0.5
    probs = np.asarray(probs, np.float32)
    positives = is_true.sum(0)
    rows = []
    for c, label in enumerate(labels):
        threshold = DEFAULT
        if positives[c] >= min_positives:
            threshold = best_threshold(is_true[:, c], probs[:, c])
        f1 = f1_score(is_true[:, c], probs[:, c] >= threshold, zero_division=0)
        rows.append((label, float(threshold), int(positives[c]), float(f1)))
    return rows


def best_threshold(is_true, probs):
    """The highest threshold of maximum F1, which no probability of 0 reaches.

    It is half way from the lowest probability that reaches it to the next one.
    """
    from sklearn.metrics import precision_recall_curve

    precision, recall, probs = precision_recall_curve(is_true, probs)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    f1 = np.where(probs > 0, f1[:-1].round(12), 0.0)  # so that ties are equal
    best = np.flatnonzero(f1 == f1.max())[-1]
    high = probs[best]
    low = probs[best - 1] if best > 0 else np.float32(0)
    middle = low + (high - low) / 2
    if middle == low:  # neighbours in float32
        middle = high
    return max(middle, np.finfo(np.float32).tiny)


def write_thresholds(folder, rows):
    """Writes what ``learn_thresholds`` returned into an inference folder."""
    write_csv(Path(folder, THRESHOLDS), HEADER, rows)


def read_thresholds(folder, labels):
    """Reads the thresholds of an inference folder, see ``read_rows``.

    Returns
    -------
    numpy.ndarray or None
        The thresholds ``[C]``; None without a file of them.
    """
    rows = read_rows(folder, labels)
    if rows is None:
        return None
    return np.array([threshold for _, threshold, *_ in rows], np.float32)


def read_rows(folder, labels):
    """Reads the thresholds.csv of an inference folder.

    Arguments
    ---------
    folder : str
        The folder.
    labels : list of str
        Names of the C classes of its model.

    Returns
    -------
    list of tuple or None
        What ``learn_thresholds`` returned; None without a file of it.

    Raises
    ------
    ValueError
        If the file is damaged, or not of this model.
    """
    path = Path(folder, THRESHOLDS)
    if not path.is_file():
        return None
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            header, *lines = csv.reader(file)
        rows = [
            (label, float(threshold), int(positives), float(f1))
            for label, threshold, positives, f1 in lines
        ]
        if header != HEADER or [row[0] for row in rows] != list(labels):
            raise ValueError("the labels are not those of the model")
        if not all(0 <= threshold <= 1 for _, threshold, *_ in rows):
            raise ValueError("thresholds must be in 0..1")
    except (OSError, ValueError, csv.Error) as error:
        raise ValueError(
            f"{path} cannot be used ({error}): it must have the columns "
            f"{', '.join(HEADER)}, and a row for each label of the model in "
            "its order. Delete it, and learn the thresholds again with "
            "`fftp-tag calibrate`."
        ) from error
    return rows
