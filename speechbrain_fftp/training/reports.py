"""Results of a training run: result tables, metrics.json, predictions.csv.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import numpy as np

from speechbrain.utils.distributed import run_on_main
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.files import write_csv, write_json
from speechbrain_fftp.inference.results import (
    tagging_table,
    versions,
    write_predictions,
)
from speechbrain_fftp.inference.scores import f1_scores, tagging_metrics
from speechbrain_fftp.inference.thresholds import read_thresholds

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
    # The other processes wait: Gloo aborts one that ends while it still
    # releases gathered tensors.
    run_on_main(write_tagging, args=[brain, folder, ids, probs, targets])


def write_tagging(brain, folder, ids, probs, targets):
    """See ``report_tagging``."""
    labels = list(brain.hparams.label_encoder.lab2ind)
    probs, targets = probs.numpy(), targets.numpy()
    metrics = tagging_metrics(targets, probs)
    thresholds = read_thresholds(Path(folder, "inference"), labels)
    if thresholds is not None:
        limits = np.asarray(thresholds)
        metrics.update(f1_scores(targets, probs, limits))
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

    They are metrics.json, per_class.csv, confusion.csv, predictions.csv and
    probabilities.npz; a table is printed.
    For arguments, see ``report_tagging``.
    """
    ids, probs, targets = brain.metrics.gather()
    # They wait as in report_tagging
    run_on_main(write_accuracy, args=[brain, folder, ids, probs, targets])


def write_accuracy(brain, folder, ids, probs, targets):
    """See ``report_accuracy``."""
    from sklearn.metrics import (
        classification_report,
        confusion_matrix,
        precision_recall_fscore_support,
    )

    labels = list(brain.hparams.label_encoder.lab2ind)
    probs, targets = probs.numpy(), targets.numpy()
    true = targets.argmax(1)
    predicted = probs.argmax(1)
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
