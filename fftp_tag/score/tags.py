"""F1 of tags, and the table of all scores of tags.

Authors
 * The speechbrain_fftp authors 2026
"""

from typing import Any

import numpy as np


def f1_of_tags(true: np.ndarray, tagged: np.ndarray) -> dict[str, float | None]:
    """F1 of tags, from booleans ``[clips, C]``.

    Returns ``micro_F1``, of all tags but those of classes that all clips have,
    and ``macro_F1``, the mean over classes with positive and negative clips;
    None if there are none.
    """
    varied = ~true.all(0)
    of_class = column_f1(true, tagged)[varied & true.any(0)]
    of_all = column_f1(true[:, varied].ravel(), tagged[:, varied].ravel())
    return {
        "micro_F1": float(of_all) if varied.any() else None,
        "macro_F1": float(of_class.mean()) if len(of_class) else None,
    }


def column_f1(true: np.ndarray, found: np.ndarray) -> np.ndarray:
    """F1 of each column, from boolean arrays of true and found labels."""
    total = true.sum(0) + found.sum(0)
    return 2 * (true & found).sum(0) / np.maximum(total, 1)


def decimal(value: float | None) -> str:
    """A score in a table; a dash if it is undefined."""
    return "-" if value is None else f"{value:.4f}"


def tagging_table(metrics: dict[str, Any], labels: list) -> str:
    """A table of the means and of the five worst and five best classes.

    Arguments
    ---------
    metrics : dict
        See ``Evaluation``.
    labels : list of str
        Names of the C classes.
    """
    thresholds = metrics["thresholds"]
    accuracy = []
    if "accuracy" in metrics:
        text = decimal(metrics["accuracy"])
        accuracy = [f"accuracy {text}  (of the most probable of these classes)"]
    if not metrics["per_class"]:
        reason = "No class has both positive and negative clips among"
        return "\n".join([*accuracy, f"{reason} {metrics['num_clips']}."])
    lines = [
        f"mAP      {decimal(metrics['mAP'])}",
        f"AUC      {decimal(metrics['AUC'])}",
        f"d-prime  {decimal(metrics['d_prime'])}",
        f"micro F1 {decimal(metrics['micro_F1'])}  (thresholds {thresholds})",
        f"macro F1 {decimal(metrics['macro_F1'])}  (thresholds {thresholds})",
        *accuracy,
        f"Means over {metrics['num_classes_scored']} of {len(labels)} classes, "
        f"those with positive and negative clips among {metrics['num_clips']}.",
        "AP      positives  class",
    ]
    ranked = sorted(
        metrics["per_class"].items(), key=lambda item: item[1]["AP"]
    )
    table = [
        f"{row['AP']:.4f}  {row['positives']:9d}  {labels[c]}"
        for c, row in ranked
    ]
    if len(table) > 10:
        table[5:-5] = ["..."]
    return "\n".join(lines + table)
