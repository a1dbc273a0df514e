"""Metrics of tagging, with any number of classes per clip or with one.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import numpy as np
from scipy.stats import norm

from speechbrain_fftp.dataio.files import write_csv, write_json

# d' of a perfect ranking is infinite: an AUC is cut off this far from 1.
AUC_MARGIN = 1e-7


def d_prime(auc):
    """Sensitivity index of an area under the ROC curve.

    Arguments
    ---------
    auc : float
        Area under the curve in 0..1, cut off at ``1 - 1e-7``.

    Returns
    -------
    float
        ``sqrt(2)`` times the normal quantile of the area, at most 7.35.

    Example
    -------
    >>> round(d_prime(0.975), 3)
    2.772
    """
    auc = min(max(auc, AUC_MARGIN), 1 - AUC_MARGIN)
    return float(np.sqrt(2) * norm.ppf(auc))


def tagging_metrics(targets, scores):
    """Macro mAP, AUC and d' over the classes that can be scored.

    A class can be scored if the split holds both clips with and clips without
    it; the others are left out of the means, and counted.

    Arguments
    ---------
    targets : numpy.ndarray
        Multi-hot labels ``[clips, classes]``.
    scores : numpy.ndarray
        Scores ``[clips, classes]``, greater for likelier.

    Returns
    -------
    dict
        ``mAP``, ``AUC``, ``d_prime`` (of the mean AUC), ``num_classes_scored``,
        ``num_clips``, and under ``per_class`` a dictionary from the index of
        each class scored to its ``AP``, ``AUC`` and ``positives``.

    Raises
    ------
    ValueError
        If the shapes differ, a score is not finite, or no class can be scored.

    Example
    -------
    >>> targets = np.array([[1, 0], [0, 0], [1, 0]])
    >>> scores = np.array([[0.9, 0.1], [0.5, 0.2], [0.4, 0.3]])
    >>> metrics = tagging_metrics(targets, scores)
    >>> round(metrics["mAP"], 3), metrics["num_classes_scored"]
    (0.833, 1)
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    _check_scores(targets, scores)
    positives = (targets > 0.5).sum(0)
    per_class = {
        int(c): {
            "AP": float(average_precision_score(targets[:, c], scores[:, c])),
            "AUC": float(roc_auc_score(targets[:, c], scores[:, c])),
            "positives": int(positives[c]),
        }
        for c in np.flatnonzero((positives > 0) & (positives < len(targets)))
    }
    if not per_class:
        raise ValueError(
            "No class has both positive and negative clips in this split, so "
            "that no average precision is defined: give it more clips."
        )
    auc = float(np.mean([c["AUC"] for c in per_class.values()]))
    return {
        "mAP": float(np.mean([c["AP"] for c in per_class.values()])),
        "AUC": auc,
        "d_prime": d_prime(auc),
        "num_classes_scored": len(per_class),
        "num_clips": len(targets),
        "per_class": per_class,
    }


def _check_scores(targets, scores):
    """Makes sure that scores are whole."""
    if targets.shape != scores.shape:
        raise ValueError(
            f"Targets {targets.shape} and scores {scores.shape} differ in "
            "shape: the classifier and the label encoder must have the same "
            "number of classes."
        )
    if not np.isfinite(scores).all():
        raise ValueError(
            f"{(~np.isfinite(scores)).any(1).sum()} of {len(scores)} clips "
            "have scores that are not finite: training has diverged. Start "
            "again with a lower lr; it goes on from the last checkpoint."
        )


def write_results(metrics, labels, folder, **more):
    """Writes metrics.json and per_class.csv, and lays out a table of them.

    Arguments
    ---------
    metrics : dict
        What ``tagging_metrics`` returned.
    labels : list of str
        The label of each class index.
    folder : str
        Where to write the two files.
    **more : dict
        Further entries of metrics.json, such as the loss.

    Returns
    -------
    str
        The means, and the worst and the best five classes, to print.

    Example
    -------
    >>> tmpdir = getfixture("tmpdir")
    >>> targets = np.array([[1, 0], [0, 1]])
    >>> metrics = tagging_metrics(targets, targets)
    >>> print(write_results(metrics, ["Speech", "Music"], tmpdir, loss=0.1))
    mAP      1.0000
    AUC      1.0000
    d-prime  7.3530
    Means over 2 of 2 classes, those with positive and negative clips among 2.
    AP      positives  class
    1.0000          1  Speech
    1.0000          1  Music
    """
    folder = Path(folder)
    per_class = [
        {"label": labels[c], **row} for c, row in metrics["per_class"].items()
    ]
    means = {k: v for k, v in metrics.items() if k != "per_class"}
    write_json(folder / "metrics.json", {**means, **more})
    header = ("label", "positives", "AP", "AUC")
    rows = ([row[key] for key in header] for row in per_class)
    write_csv(folder / "per_class.csv", header, rows)

    lines = [
        f"mAP      {metrics['mAP']:.4f}",
        f"AUC      {metrics['AUC']:.4f}",
        f"d-prime  {metrics['d_prime']:.4f}",
        f"Means over {metrics['num_classes_scored']} of {len(labels)} classes, "
        f"those with positive and negative clips among {metrics['num_clips']}.",
        "AP      positives  class",
    ]
    ranked = sorted(per_class, key=lambda row: row["AP"])
    table = [
        f"{row['AP']:.4f}  {row['positives']:9d}  {row['label']}"
        for row in ranked
    ]
    if len(table) > 10:
        table[5:-5] = ["..."]
    return "\n".join(lines + table)


def accuracy_metrics(targets, scores):
    """Accuracy, confusion matrix and figures of each class, one per clip.

    Arguments
    ---------
    targets : numpy.ndarray
        One-hot labels ``[clips, classes]``.
    scores : numpy.ndarray
        Scores ``[clips, classes]``, greater for likelier.

    Returns
    -------
    dict
        ``accuracy``, ``num_clips``, under ``confusion`` the numbers of clips
        ``[true class, predicted class]``, and under ``per_class`` a list of
        each class's ``clips``, ``precision``, ``recall`` and ``F1``, where 0
        stands for what is undefined.

    Raises
    ------
    ValueError
        If the shapes differ or a score is not finite.

    Example
    -------
    >>> scores = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    >>> metrics = accuracy_metrics(np.eye(2)[[0, 1, 1]], scores)
    >>> round(metrics["accuracy"], 3), metrics["confusion"].tolist()
    (0.667, [[1, 0], [1, 1]])
    """
    from sklearn.metrics import (
        confusion_matrix,
        precision_recall_fscore_support,
    )

    _check_scores(targets, scores)
    true, found = targets.argmax(1), scores.argmax(1)
    classes = np.arange(targets.shape[1])
    columns = precision_recall_fscore_support(
        true, found, labels=classes, zero_division=0
    )
    names = ("precision", "recall", "F1", "clips")
    return {
        "accuracy": float((true == found).mean()),
        "num_clips": len(targets),
        "confusion": confusion_matrix(true, found, labels=classes),
        "per_class": [
            dict(zip(names, (*map(float, row[:3]), int(row[3]))))
            for row in zip(*columns)
        ],
    }


def write_accuracy(metrics, labels, folder, **more):
    """Writes metrics.json, per_class.csv and confusion.csv; gives a table.

    Arguments
    ---------
    metrics : dict
        What ``accuracy_metrics`` returned.
    labels : list of str
        The label of each class index.
    folder : str
        Where to write the files.
    **more : dict
        Further entries of metrics.json, such as the loss.

    Returns
    -------
    str
        The accuracy, and a row for each class, to print.

    Example
    -------
    >>> metrics = accuracy_metrics(np.eye(2), np.eye(2))
    >>> print(write_accuracy(metrics, ["no", "yes"], getfixture("tmpdir")))
    accuracy 1.0000 of 2 clips
    recall  precision  F1      clips  class
    1.0000     1.0000  1.0000      1  no
    1.0000     1.0000  1.0000      1  yes
    """
    folder = Path(folder)
    means = {k: metrics[k] for k in ("accuracy", "num_clips")}
    write_json(folder / "metrics.json", {**means, **more})
    header = ("recall", "precision", "F1", "clips")
    rows = [[row[key] for key in header] for row in metrics["per_class"]]
    write_csv(
        folder / "per_class.csv",
        ("label", *header),
        ([label, *row] for label, row in zip(labels, rows)),
    )
    write_csv(
        folder / "confusion.csv",
        ("true", *labels),
        ([label, *row] for label, row in zip(labels, metrics["confusion"])),
    )
    lines = [
        f"accuracy {metrics['accuracy']:.4f} of {metrics['num_clips']} clips",
        "recall  precision  F1      clips  class",
    ]
    for label, (recall, precision, f1, clips) in zip(labels, rows):
        lines.append(
            f"{recall:.4f}  {precision:9.4f}  {f1:.4f}  {clips:5d}  {label}"
        )
    return "\n".join(lines)
