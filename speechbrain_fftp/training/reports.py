"""Results of a training run: result tables, metrics.json, predictions.csv.

Authors
 * The speechbrain_fftp authors 2026
"""

import platform
import subprocess
from pathlib import Path

import numpy as np
import torch

import speechbrain
import speechbrain_fftp
from speechbrain.utils.distributed import if_main_process
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.files import atomic_path, write_csv, write_json
from speechbrain_fftp.inference.thresholds import read_thresholds
from speechbrain_fftp.metrics.tagging import f1_scores, tagging_metrics

logger = get_logger(__name__)


def report_tagging(brain, datasets, folder):
    """Writes the results of the test clips of a multi-label model.

    They are metrics.json, per_class.csv, predictions.csv and probabilities.npz,
    and a table that is printed. F1 is included if the model was exported with
    thresholds.

    Arguments
    ---------
    brain : speechbrain.Brain
        A recipe's Brain, after its evaluation.
    datasets : dict
        Its data sets.
    folder : str
        The run folder.
    """
    ids, probs, targets = brain.metrics.gather()
    if not if_main_process():
        return
    labels = list(brain.hparams.label_encoder.lab2ind)
    metrics = tagging_metrics(targets.numpy(), probs.numpy())
    thresholds = read_thresholds(Path(folder, "inference"), labels)
    if thresholds is not None:
        limits = np.asarray(thresholds)
        metrics.update(f1_scores(targets.numpy(), probs.numpy(), limits))
    per_class = metrics.pop("per_class")
    write_json(
        Path(folder, "metrics.json"),
        {**metrics, **brain.test_stats, **run_facts(brain, "mAP")},
        strict=True,
    )
    write_csv(
        Path(folder, "per_class.csv"),
        ("label", "positives", "AP", "AUC"),
        [
            (labels[c], row["positives"], row["AP"], row["AUC"])
            for c, row in per_class.items()
        ],
    )
    write_predictions(folder, ids, targets, probs, labels)
    logger.info("Test clips:\n%s", tagging_table(metrics, per_class, labels))


def report_accuracy(brain, datasets, folder):
    """Writes the results of test clips that have one label each.

    They are metrics.json, per_class.csv, confusion.csv and, with matplotlib,
    confusion.png, predictions.csv and probabilities.npz; a table is printed.
    For arguments, see ``report_tagging``.
    """
    from sklearn.metrics import (
        classification_report,
        confusion_matrix,
        precision_recall_fscore_support,
    )

    ids, probs, targets = brain.metrics.gather()
    if not if_main_process():
        return
    labels = list(brain.hparams.label_encoder.lab2ind)
    true = targets.argmax(1).numpy()
    predicted = probs.argmax(1).numpy()
    numbers = list(range(len(labels)))
    write_json(
        Path(folder, "metrics.json"),
        {
            "accuracy": float((true == predicted).mean()),
            "num_clips": len(ids),
            **brain.test_stats,
            **run_facts(brain, "accuracy"),
        },
        strict=True,
    )
    precision, recall, f1, clips = precision_recall_fscore_support(
        true, predicted, labels=numbers, zero_division=0
    )
    write_csv(
        Path(folder, "per_class.csv"),
        ("label", "recall", "precision", "F1", "clips"),
        zip(
            labels,
            recall.tolist(),
            precision.tolist(),
            f1.tolist(),
            clips.tolist(),
        ),
    )
    confusion = confusion_matrix(true, predicted, labels=numbers)
    write_csv(
        Path(folder, "confusion.csv"),
        ("true", *labels),
        [[label, *row] for label, row in zip(labels, confusion)],
    )
    draw_confusion(confusion, labels, Path(folder, "confusion.png"))
    write_predictions(folder, ids, targets, probs, labels)
    table = classification_report(
        true,
        predicted,
        labels=numbers,
        target_names=labels,
        digits=4,
        zero_division=0,
    )
    logger.info("Test clips:\n%s", table)


def run_facts(brain, metric):
    """What metrics.json says of a run: its seed, and the epochs averaged."""
    best = brain.checkpointer.find_checkpoints(
        max_key=metric, max_num_checkpoints=brain.hparams.avg_checkpoints
    )
    return {
        "seed": brain.hparams.seed,
        "epochs": brain.hparams.epoch_counter.limit,
        "averaged_epochs": sorted(c.meta["epoch"] for c in best),
        f"valid_{metric}": max(c.meta[metric] for c in best),
        "made_with": versions(),
    }


def versions():
    """Versions of this package, its git commit if any, and what it runs on."""
    return {
        "speechbrain_fftp": speechbrain_fftp.__version__,
        "speechbrain": speechbrain.__version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "commit": git_commit(),
    }


def git_commit():
    """This package's git commit, ``-dirty`` after changes, or None."""
    package = Path(speechbrain_fftp.__file__).parent
    git = ["git", "-C", str(package)]
    # A package that is installed in another project is not tracked there
    tracked = [*git, "ls-files", "--error-unmatch", "__init__.py"]
    describe = [*git, "describe", "--always", "--dirty", "--exclude=*"]
    try:
        subprocess.run(tracked, capture_output=True, check=True)
        done = subprocess.run(describe, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.decode().strip()


def draw_confusion(confusion, labels, path):
    """Draws a matrix ``[true, predicted]``; without matplotlib, it warns."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        logger.warning("%s is not drawn, which needs matplotlib", path)
        return
    size = 2.5 + 0.35 * len(labels)
    figure = Figure((size, size), dpi=100, layout="constrained")
    axes = figure.subplots()
    fractions = confusion / confusion.sum(1, keepdims=True).clip(min=1)
    axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(labels))
    axes.set_xticks(ticks, labels, rotation=90)
    axes.set_yticks(ticks, labels)
    axes.set(xlabel="predicted", ylabel="true")
    for row, column in zip(*confusion.nonzero()):
        axes.text(
            column,
            row,
            str(confusion[row, column]),
            color="white" if fractions[row, column] > 0.5 else "black",
            ha="center",
            va="center",
            size=7,
        )
    figure.savefig(path)


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


def tagging_table(metrics, per_class, labels):
    """The means and the worst and the best five classes, to print."""
    lines = [
        f"mAP      {metrics['mAP']:.4f}",
        f"AUC      {metrics['AUC']:.4f}",
        f"d-prime  {metrics['d_prime']:.4f}",
    ]
    if "threshold" in metrics:
        for kind in ("micro", "macro"):
            f1 = metrics[f"{kind}_F1"]
            lines.append(
                f"{kind} F1 {f1:.4f}  (threshold {metrics['threshold']})"
            )
    lines += [
        f"Means over {metrics['num_classes_scored']} of {len(labels)} classes, "
        f"those with positive and negative clips among {metrics['num_clips']}.",
        "AP      positives  class",
    ]
    ranked = sorted(per_class.items(), key=lambda item: item[1]["AP"])
    table = [
        f"{row['AP']:.4f}  {row['positives']:9d}  {labels[c]}"
        for c, row in ranked
    ]
    if len(table) > 10:
        table[5:-5] = ["..."]
    return "\n".join(lines + table)
