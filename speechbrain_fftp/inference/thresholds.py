"""Thresholds of a model, one for each class: learned, read and chosen.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
from pathlib import Path

import torch

from speechbrain_fftp.dataio.files import write_csv
from speechbrain_fftp.utils.metrics import best_thresholds

THRESHOLDS = "thresholds.csv"
HEADER = ("label", "threshold", "positives", "f1")
MAX_BYTES = 2**24


def learn_thresholds(labels, targets, probs):
    """Rows of thresholds.csv, learned on clips; tensors are ``[clips, C]``."""
    learned = best_thresholds(targets.numpy(), probs.numpy())
    return list(zip(labels, *(values.tolist() for values in learned)))


def write_thresholds(folder, rows):
    """Writes what ``learn_thresholds`` returned into an inference folder."""
    write_csv(Path(folder, THRESHOLDS), HEADER, rows)


def read_thresholds(folder, labels):
    """The thresholds ``[C]`` of an inference folder, or None without them."""
    path = Path(folder, THRESHOLDS)
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError("it is too large")
        lines = path.read_text("utf-8").splitlines(keepends=True)
        header, *rows = csv.reader(lines)
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


def resolve_threshold(threshold, learned):
    """Thresholds that "auto" stands for, the learned ones; others as given."""
    if not isinstance(threshold, str):
        return threshold
    if threshold != "auto" or learned is None:
        raise ValueError(
            f"threshold={threshold!r}: give a number, or 'auto' if the model has "
            "thresholds, which `fftp-tag calibrate` learns."
        )
    return learned
