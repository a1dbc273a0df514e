"""Scores of the evaluation clips after each epoch of a training.

Authors
 * The speechbrain_fftp authors 2026
"""

import copy
import csv
from pathlib import Path

import torch

import speechbrain as sb
from speechbrain.dataio.dataio import load_data_csv
from speechbrain.utils.distributed import run_on_main
from speechbrain_fftp.dataio.files import write_csv

BY_EPOCH = "eval_by_epoch.csv"


def score_eval_each_epoch(brain, datasets, *, folder, score_eval_each_epoch):
    """Scores the weights after each epoch on the evaluation clips.

    The scores are logged, and written to ``BY_EPOCH`` in the folder. For
    ``before`` in a yaml file; does nothing without ``score_eval_each_epoch``.
    """
    if not score_eval_each_epoch:
        return
    hparams = brain.hparams
    clips = copy.copy(datasets["train"])  # for its pipeline
    replacements = {"data_root": hparams.data_root}
    clips.data = load_data_csv(hparams.test_annotation, replacements)
    clips.data_ids = list(clips.data)
    loader = brain.make_dataloader(
        clips.filtered_sorted(sort_key="duration"),
        sb.Stage.TEST,
        **{**hparams.valid_dataloader_opts, "ckpt_prefix": None},
    )

    def score(epoch):
        """Called before the checkpoint of an epoch is saved."""
        brain.on_stage_start(sb.Stage.TEST)
        brain.modules.eval()
        with torch.no_grad():
            for batch in loader:
                brain.evaluate_batch(batch, sb.Stage.TEST)
        scores = brain.metrics.summarize()
        hparams.train_logger.log_stats({"epoch": epoch}, test_stats=scores)
        run_on_main(add_epoch, args=[folder, epoch, scores])

    brain.epoch_ends.append(score)


def add_epoch(folder, epoch, scores):
    """Writes the scores of an epoch after those of the epochs before it."""
    rows = [row for row in read_epochs(folder) if int(row["epoch"]) < epoch]
    rows.append({"epoch": epoch, **scores})
    write_csv(Path(folder, BY_EPOCH), rows[0], [row.values() for row in rows])


def read_epochs(folder):
    """The scores of each epoch, as dicts of text; none without a file."""
    path = Path(folder, BY_EPOCH)
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def last_and_best(folder, name):
    """The metric after the last epoch, and after the epoch with the best one.

    The latter is chosen on the evaluation clips, as AuM's script does, and so is
    optimistic. Empty without scores of each epoch.
    """
    values = [float(row[name]) for row in read_epochs(folder)]
    if not values:
        return {}
    best = max(values)
    return {
        f"{name}_of_last_epoch": values[-1],
        f"{name}_of_best_epoch_on_eval": best,
        "best_epoch_on_eval": 1 + values.index(best),
    }
