"""Thresholds of the classes of a model: learned, and read from its folder.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
from pathlib import Path

import torch

from speechbrain_fftp.dataio.files import write_csv
from speechbrain_fftp.utils.metrics import best_thresholds, f1_scores

THRESHOLDS = "thresholds.csv"
HEADER = ("label", "threshold", "positives", "f1")
MAX_BYTES = 2**24


def learn_thresholds(labels, targets, probs):
    """Learns a threshold for each class, see ``best_thresholds``.

    Arguments
    ---------
    labels : list of str
    targets, probs : torch.Tensor
        Multi-hot labels, and probabilities, ``[clips, C]``.

    Returns
    -------
    list of tuple
        The rows of thresholds.csv: label, threshold, positive clips and F1.

    Example
    -------
    >>> probs = torch.tensor([[0.5], [0.25]])
    >>> learn_thresholds(["Siren"], torch.tensor([[1.0], [0.0]]), probs)
    [('Siren', 0.375, 1, 1.0)]
    """
    targets, probs = targets.numpy(), probs.float().numpy()
    thresholds = best_thresholds(targets, probs)
    *_, f1 = f1_scores(targets, probs, thresholds)
    positives = (targets > 0.5).sum(0).tolist()
    return list(zip(labels, thresholds.tolist(), positives, f1))


def write_thresholds(folder, rows):
    """Writes thresholds.csv into an inference folder.

    Arguments
    ---------
    folder : str
    rows : list of tuple
        What ``learn_thresholds`` returned.

    Returns
    -------
    pathlib.Path
        The file.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> write_thresholds(folder, [("Siren", 0.375, 9, 0.8)]).read_text()
    'label,threshold,positives,f1\\nSiren,0.375,9,0.8\\n'
    """
    path = Path(folder, THRESHOLDS)
    write_csv(path, HEADER, rows)
    return path


def read_thresholds(path, labels):
    """Reads thresholds.csv.

    Arguments
    ---------
    path : pathlib.Path
    labels : list of str
        Labels of the model.

    Returns
    -------
    torch.Tensor
        Thresholds ``[C]``.

    Raises
    ------
    ValueError
        If the file cannot be read or is not for these labels.

    Example
    -------
    >>> rows = [("Siren", 0.375, 9, 0.8)]
    >>> read_thresholds(
    ...     write_thresholds(getfixture("tmp_path"), rows), ["Siren"]
    ... )
    tensor([0.3750])
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError("it is too large")
        lines = path.read_text("utf-8").splitlines(keepends=True)
        header, *rows = csv.reader(lines)
        names, thresholds, positives, f1 = zip(*rows, strict=True)
        shares = torch.tensor([list(map(float, x)) for x in (thresholds, f1)])
        if (
            tuple(header) != HEADER
            or list(names) != labels
            or min(map(int, positives)) < 0
            or not ((0 <= shares) & (shares <= 1)).all()
        ):
            raise ValueError("labels or numbers are wrong")
    except (OSError, ValueError, csv.Error) as error:
        raise ValueError(
            f"{path} cannot be used: it must have the columns "
            f"{', '.join(HEADER)}, a row for each label of the model in its "
            "order, and thresholds in 0..1. Delete it, and learn the "
            "thresholds again with `fftp-tag calibrate`."
        ) from error
    return shares[0]
