"""Results of a training: metrics.json, per_class.csv, probabilities.npz.

With ``--test_only``, they are in a folder ``test``: the training's stay.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

from fftp_tag.files import write_csv, write_json
from fftp_tag.score.results import versions, write_predictions
from speechbrain.utils.distributed import run_on_main
from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)


def report_tagging(brain, datasets, *, folder):
    """Writes the results on test clips with any number of labels each.

    For ``after`` in a yaml file.
    """
    labels = brain.hparams.label_encoder.ind2lab
    per_class = brain.metrics.per_class  # of the test stage
    rows = [
        (labels[c], row["positives"], row["AP"], row["AUC"])
        for c, row in per_class.items()
    ]
    metrics = {**brain.metrics.summary, "num_classes_scored": len(rows)}
    header = ("label", "positives", "AP", "AUC")
    write_report(brain, folder, "mAP", metrics, header, rows)


def report_accuracy(brain, datasets, *, folder):
    """Writes the results on test clips with one label each.

    For ``after`` in a yaml file.
    """
    _, probs, targets = brain.metrics.gather()
    labels = brain.hparams.label_encoder.ind2lab
    is_right = probs.argmax(1) == targets.argmax(1)
    rows = []
    for c, label in labels.items():
        of_class = is_right[targets[:, c] > 0.5]
        if len(of_class):
            rows.append((label, len(of_class), of_class.float().mean().item()))
    header = ("label", "clips", "recall")
    metrics = {"accuracy": is_right.float().mean().item()}
    write_report(brain, folder, "accuracy", metrics, header, rows)


def write_report(brain, folder, name, metrics, header, rows):
    """Writes all files.

    ``name`` is the metric of the validation clips, ``rows`` are of classes.
    """
    ids, probs, targets = brain.metrics.gather()
    hparams = brain.hparams
    best = brain.checkpointer.find_checkpoints(
        max_key=hparams.average_by, max_num_checkpoints=hparams.avg_checkpoints
    )
    valid = [c.meta[name] for c in best if name in c.meta]
    metrics = {
        **metrics,
        "num_clips": len(ids),
        "seed": hparams.seed,
        "epochs": hparams.epoch_counter.limit,
        "averaged_epochs": sorted(c.meta["epoch"] for c in best),
        f"valid_{name}": max(valid, default=None),
        "precision": brain.precision,
        "eval_precision": brain.eval_precision,
        "compiled": brain.compile,
        "batch_size": hparams.batch_size,
        "processes": brain.throughput.processes,
        "made_with": versions(),
    }
    labels = list(hparams.label_encoder.lab2ind)
    if brain.test_only:
        folder = Path(folder, "test")
    else:
        folder = Path(folder)
        metrics.update(brain.throughput.latest)

    def write():
        """Writes on the main process."""
        folder.mkdir(exist_ok=True)
        write_json(folder / "metrics.json", metrics, strict=True)
        write_csv(folder / "per_class.csv", header, rows)
        write_predictions(folder, ids, targets.numpy(), probs.numpy(), labels)
        logger.info(
            "Wrote the results on %d test clips to %s", len(ids), folder
        )

    # The other processes wait: Gloo aborts a process that ends while gathered
    # tensors are still being released.
    run_on_main(write)
