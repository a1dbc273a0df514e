"""Thresholds of a model, one for each class: learned, read and chosen.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
from pathlib import Path

import torch

from speechbrain_fftp.dataio.files import write_csv
from speechbrain_fftp.utils.metrics import _best_thresholds
from speechbrain_fftp.utils.pretrained.tensors import _read_text

THRESHOLDS = "thresholds.csv"
HEADER = ("label", "threshold", "positives", "f1")


def learn_thresholds(labels, targets, probs):
    """Rows of thresholds.csv, learned on clips; tensors are ``[clips, C]``."""
    learned = _best_thresholds(targets.numpy(), probs.numpy())
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
        header, *rows = csv.reader(_read_text(path).splitlines(keepends=True))
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


def check_thresholds(threshold, learned, low=None):
    """The upper and the lower threshold ``[C]``, or of all classes, checked.

    "auto" stands for the learned ones, None for 0 and, of ``low``, a quarter.
    """
    threshold = 0.0 if threshold is None else threshold
    if isinstance(threshold, str):
        if threshold != "auto" or learned is None:
            raise ValueError(
                f"threshold={threshold!r}: give a number, or 'auto' if the "
                "model has thresholds, which `fftp-tag calibrate` learns."
            )
        threshold = learned
    highest = torch.as_tensor(threshold, dtype=torch.double)
    if not ((0 <= highest) & (highest <= 1)).all():
        raise ValueError(f"threshold={threshold} must be in 0..1.")
    low = threshold / 4 if low is None else low
    lowest = torch.as_tensor(low, dtype=torch.double)
    if not ((0 <= lowest) & (lowest <= highest)).all():
        raise ValueError(
            f"low={low} must be in 0..{highest.min():g}: an event must reach "
            "the threshold and ends where its probability falls below low."
        )
    return threshold, low
