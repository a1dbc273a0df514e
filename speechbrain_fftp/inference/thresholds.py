"""Thresholds of a model, one for each class: learned, written and read.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
from pathlib import Path

import numpy as np
import torch

from speechbrain_fftp.dataio.files import write_csv
from speechbrain_fftp.pretrained.tensors import read_text

THRESHOLDS = "thresholds.csv"
HEADER = ("label", "threshold", "positives", "f1")
MIN_POSITIVES = 5  # clips that a class needs for a threshold of its own


def learn_thresholds(labels, targets, probs, min_positives=MIN_POSITIVES):
    """Learns the threshold of each class that maximises its F1.

    Classes with few positive clips share one, which maximises the F1 of all
    tags of the other classes or, if there are no others, of all classes.
    Multi-hot labels and probabilities are ``[clips, C]``. Returns the rows of
    thresholds.csv: label, threshold (above 0), positive clips and F1.
    """
    from sklearn.metrics import f1_score

    true, probs = targets.numpy() > 0.5, probs.float().numpy()
    positives = true.sum(0)
    enough = positives >= min_positives
    pool = enough if enough.any() else enough | True
    shared = _best_threshold(true[:, pool].ravel(), probs[:, pool].ravel())
    limits = np.full(len(enough), shared)
    limits[enough] = list(map(_best_threshold, true.T[enough], probs.T[enough]))
    pairs = zip(true.T, (probs >= limits).T)
    f1 = [float(f1_score(*pair, zero_division=0.0)) for pair in pairs]
    return list(zip(labels, limits.tolist(), positives.tolist(), f1))


def _best_threshold(true, probs):
    """The highest threshold of maximum F1, which no probability of 0 reaches.

    It is half way from the lowest probability that reaches it to the next one.
    """
    from sklearn.metrics import precision_recall_curve

    precision, recall, probs = precision_recall_curve(true, probs)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    f1 = np.where(probs > 0, f1[:-1].round(12), 0.0)  # so that ties are equal
    best = np.flatnonzero(f1 == f1.max())[-1]
    high, low = probs[best], probs[best - 1] if best else np.float32(0)
    middle = low + (high - low) / 2
    return max(middle if middle > low else high, np.finfo(np.float32).tiny)


def write_thresholds(folder, rows):
    """Writes what ``learn_thresholds`` returned into an inference folder."""
    write_csv(Path(folder, THRESHOLDS), HEADER, rows)


def read_thresholds(folder, labels):
    """The thresholds ``[C]`` of an inference folder, or None without them."""
    path = Path(folder, THRESHOLDS)
    if not path.is_file():
        return None
    try:
        header, *rows = csv.reader(read_text(path).splitlines(keepends=True))
        names, thresholds, positives, f1 = zip(*rows, strict=True)
        shares = torch.tensor([list(map(float, x)) for x in (thresholds, f1)])
        right = (*header, *names) == (*HEADER, *labels)
        right &= min(map(int, positives)) >= 0
        if not (right and ((0 <= shares) & (shares <= 1)).all()):
            raise ValueError("labels or numbers are wrong")
    except (OSError, ValueError, csv.Error) as error:
        raise ValueError(
            f"{path} cannot be used: it must have the columns "
            f"{', '.join(HEADER)}, a row for each label of the model in its "
            "order, and thresholds in 0..1. Delete it, and learn the "
            "thresholds again with `fftp-tag calibrate`."
        ) from error
    return shares[0]
