"""Reports of a training run: TensorBoard, predictions.csv, result tables.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import numpy as np
import torch

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.files import atomic_path, write_csv, write_json

logger = get_logger(__name__)


def add_scalars(writer, values, where, step):
    """Adds values, a dict, such as ``loss`` as ``loss/valid``."""
    for name, value in values.items():
        writer.add_scalar(f"{name}/{where}", value, step)


def add_classes(writer, per_class, labels, step):
    """Adds a table of the AP of each class, if any, the lowest first."""
    rows = ["AP | AUC | positives | class", "--- | --- | --- | ---"]
    for c, row in sorted(per_class.items(), key=lambda item: item[1]["AP"]):
        about = f"{row['AP']:.4f} | {row['AUC']:.4f} | {row['positives']}"
        rows.append(f"{about} | {labels[c]}")
    if per_class:
        writer.add_text("classes", "\n".join(rows), step)


def add_spectrograms(writer, plain, masked, step):
    """Adds an image of a clip's features ``[T, F]``, masked above plain."""
    # [T, F] each -> [2 * F, T], low bins at the bottom of either
    image = torch.cat([plain.T, masked.T]).flip(0).float()
    image = image - image.min()
    image = image / image.max().clamp(min=1e-6)
    writer.add_image(
        "spectrogram/masked_above_plain", image.cpu(), step, dataformats="HW"
    )


def add_predictions(writer, ids, probs, targets, labels, step):
    """Adds a table of clips with their labels and their top three tags."""
    rows = ["clip | labels | predicted", "--- | --- | ---"]
    for clip, clip_probs, target in zip(ids, probs, targets):
        true = [name for name, hot in zip(labels, target) if hot > 0.5]
        top = zip(*clip_probs.topk(min(3, len(labels))))
        tags = [f"{labels[c]} {p:.2f}" for p, c in top]
        rows.append(f"{clip} | {', '.join(true)} | {', '.join(tags)}")
    writer.add_text("predictions", "\n".join(rows), step)


def add_confusion(writer, confusion, labels, path):
    """Draws a matrix ``[true, predicted]``; without matplotlib, it warns."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        logger.warning(
            "%s is not drawn, which needs matplotlib: "
            'pip install -c constraints.txt -e ".[demo]"',
            path,
        )
        return
    size = 2.5 + 0.35 * len(labels)
    figure = Figure((size, size), dpi=100, layout="constrained")
    axes = figure.subplots()
    share = confusion / confusion.sum(1, keepdims=True).clip(min=1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(labels))
    axes.set_xticks(ticks, labels, rotation=90)
    axes.set_yticks(ticks, labels)
    axes.set(xlabel="predicted", ylabel="true")
    style = {"ha": "center", "va": "center", "size": 7}
    for row, column in zip(*confusion.nonzero()):
        colour = "white" if share[row, column] > 0.5 else "black"
        text = str(confusion[row, column])
        axes.text(column, row, text, color=colour, **style)
    figure.savefig(path)
    writer.add_figure("confusion", figure)


def write_predictions(folder, ids, targets, probs, labels, top_k=5):
    """Writes predictions.csv, and probabilities.npz for later use.

    ``probability`` in predictions.csv is the lowest one among a clip's labels.
    Rows are sorted by it: errors of the model, or of the labels, come first,
    clips without a label last.
    """
    true = targets > 0.5
    lowest = probs.masked_fill(~true, float("inf")).amin(1)
    top_k = min(top_k, len(labels))
    best_probs, best_classes = (best.tolist() for best in probs.topk(top_k))
    header = ["ID", "labels", "probability"]
    for rank in range(1, top_k + 1):
        header += [f"tag_{rank}", f"probability_{rank}"]
    rows = []
    for i in lowest.argsort(stable=True).tolist():
        names = [labels[c] for c in true[i].nonzero().flatten()]
        row = [ids[i], ";".join(names), f"{lowest[i]:.4f}" if names else ""]
        for prob, c in zip(best_probs[i], best_classes[i]):
            row += [labels[c], f"{prob:.4f}"]
        rows.append(row)
    write_csv(Path(folder, "predictions.csv"), header, rows)
    path = Path(folder, "probabilities.npz")
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file,
            ids=np.array(ids),
            labels=np.array(labels),
            targets=true.numpy(),
            probs=probs.float().numpy(),
        )


def write_tagging_results(metrics, labels, folder, **more):
    """Writes the ``tagging_metrics``; returns a table to print.

    ``more`` are further entries of metrics.json.
    """
    folder, columns = Path(folder), ("positives", "AP", "AUC")
    means = dict(metrics)
    per_class = means.pop("per_class").items()
    write_json(folder / "metrics.json", {**means, **more}, strict=True)
    rows = ([labels[c], *(row[k] for k in columns)] for c, row in per_class)
    write_csv(folder / "per_class.csv", ("label", *columns), rows)
    return tagging_table(metrics, labels)


def tagging_table(metrics, labels):
    """The means and the worst and the best five classes, to print."""
    lines = [
        f"mAP      {metrics['mAP']:.4f}",
        f"AUC      {metrics['AUC']:.4f}",
        f"d-prime  {metrics['d_prime']:.4f}",
    ]
    for kind in ("micro", "macro") if "threshold" in metrics else ():
        f1, limit = metrics[f"{kind}_F1"], metrics["threshold"]
        lines.append(f"{kind} F1 {f1:.4f}  (threshold {limit})")
    lines += [
        f"Means over {metrics['num_classes_scored']} of {len(labels)} classes, "
        f"those with positive and negative clips among {metrics['num_clips']}.",
        "AP      positives  class",
    ]
    ranked = sorted(metrics["per_class"].items(), key=lambda x: x[1]["AP"])
    table = [
        f"{row['AP']:.4f}  {row['positives']:9d}  {labels[c]}"
        for c, row in ranked
    ]
    if len(table) > 10:
        table[5:-5] = ["..."]
    return "\n".join(lines + table)


def write_accuracy_results(targets, probs, labels, folder, writer, **more):
    """Writes the results of clips that have one class each; returns a table.

    ``more`` are further entries of metrics.json.
    """
    from sklearn.metrics import (
        classification_report,
        confusion_matrix,
        precision_recall_fscore_support,
    )

    folder = Path(folder)
    true, predicted = targets.argmax(1).numpy(), probs.argmax(1).numpy()
    opts = {"labels": list(range(len(labels))), "zero_division": 0}
    scores = precision_recall_fscore_support(true, predicted, **opts)
    precision, recall, f1, clips = (column.tolist() for column in scores)
    accuracy = float((true == predicted).mean())
    metrics = {"accuracy": accuracy, "num_clips": len(true), **more}
    write_json(folder / "metrics.json", metrics, strict=True)
    write_csv(
        folder / "per_class.csv",
        ("label", "recall", "precision", "F1", "clips"),
        zip(labels, recall, precision, f1, clips),
    )
    confusion = confusion_matrix(true, predicted, labels=opts["labels"])
    rows = ([label, *counts] for label, counts in zip(labels, confusion))
    write_csv(folder / "confusion.csv", ("true", *labels), rows)
    add_confusion(writer, confusion, labels, folder / "confusion.png")
    table = classification_report(
        true, predicted, target_names=labels, digits=4, **opts
    )
    return f"accuracy {accuracy:.4f} of {len(true)} clips\n{table}"
