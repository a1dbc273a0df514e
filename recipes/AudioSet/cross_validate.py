#!/usr/bin/env python3
r"""Trains and evaluates one model per fold of custom data with folds.

> python recipes/AudioSet/cross_validate.py hparams/ast_fftp.yaml \\
>     --data_folder ESC-50 --output_folder results/esc50 [options of train.py]

Each fold is trained by train.py in output_folder/fold_K. The same command, with
the same yaml file and data, continues where it stopped. folds.csv then has the
metrics of all folds, their mean, standard deviation and 95 % confidence
interval (Student's t). Accuracy is the share of clips whose most probable class
is one of their labels.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import scipy.stats

from speechbrain_fftp.dataio.files import write_csv, write_json
from speechbrain_fftp.datasets.custom.listing import find_custom_data
from speechbrain_fftp.datasets.names import text_digest
from speechbrain_fftp.datasets.prepared import source_state
from speechbrain_fftp.training.errors import report_errors

TRAIN = Path(__file__).with_name("train.py")
METRICS = ("mAP", "AUC", "accuracy")


def cross_validate(hparams_file, data_folder, output_folder, options):
    """Trains the folds that are not finished and writes folds.csv.

    Arguments
    ---------
    hparams_file : str
        The yaml file of the model.
    data_folder : str
        Custom data with folds.
    output_folder : str
        Folder to write to.
    options : list of str
        More options of train.py, the same for all folds.

    Raises
    ------
    ValueError
        If the data has no folds, --debug is given, or the output folder was
        made with other options, hparams or data.
    SystemExit
        If the training of a fold fails.

    Example
    -------
    >>> cross_validate("hparams/ast_fftp.yaml", "ESC-50", "results/esc50", [])
    """
    if "--debug" in options:
        raise ValueError(
            "--debug leaves no metrics to average: give it to train.py, with"
            " --test_fold K"
        )
    own = find_custom_data(data_folder)
    folds = {clip.fold for clip in own.clips} - {""} if own else ()
    if len(folds) < 2:
        raise ValueError(f"{data_folder} has no folds to cross-validate")
    given = [*options, f"--data_folder={data_folder}"]
    command = [str(hparams_file), *given]
    output_folder = Path(output_folder)
    output_folder.mkdir(parents=True, exist_ok=True)
    record = output_folder / "command.json"
    made_with = {
        "options": command,
        "hparams": text_digest(Path(hparams_file).read_text("utf-8")),
        "data": source_state([*own.files.values(), *own.tables], data_folder),
    }
    if record.exists():
        before = json.loads(record.read_text("utf-8"))
        if isinstance(before, list):  # of an earlier version
            before = {"options": before}
        changed = [key for key in before if before[key] != made_with.get(key)]
        if changed:
            raise ValueError(
                f"{output_folder} has folds of other {' and '.join(changed)}"
                f" (see {record}): give another output_folder, or delete this"
                " one to train all folds again"
            )
    write_json(record, made_with)
    rows = []
    for fold in sorted(folds, key=lambda fold: (len(fold), fold)):
        folder = output_folder / f"fold_{fold}"
        done = folder / "done.json"
        if not done.exists():
            place = [f"--output_folder={folder}", f"--test_fold={fold}"]
            run = subprocess.run([sys.executable, TRAIN, *command, *place])
            if run.returncode:
                raise SystemExit(
                    f"Fold {fold} failed; the same command continues with it"
                )
            write_json(done, _read_metrics(folder))
        metrics = json.loads(done.read_text("utf-8"))
        rows.append((fold, *(metrics[name] for name in METRICS)))
    values = np.array([row[1:] for row in rows])
    mean, std = values.mean(0), values.std(0, ddof=1)
    half = scipy.stats.t.ppf(0.975, len(rows) - 1) * std / len(rows) ** 0.5
    rows += [("mean", *mean), ("std", *std)]
    rows += [("95 % from", *(mean - half)), ("95 % to", *(mean + half))]
    rows = [(name, *(f"{v:.4f}" for v in row)) for name, *row in rows]
    write_csv(output_folder / "folds.csv", ("fold", *METRICS), rows)
    for row in [("fold", *METRICS), *rows]:
        print("".join(entry.ljust(12) for entry in row))


def _read_metrics(folder):
    """Reads the metrics of a fold that is finished."""
    with open(folder / "predictions.csv", encoding="utf-8") as file:
        rows = [
            r["tag_1"] in r["labels"].split(";") for r in csv.DictReader(file)
        ]
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    return {**metrics, "accuracy": sum(rows) / len(rows)}


if __name__ == "__main__":
    report_errors()
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("hparams_file")
    parser.add_argument("--data_folder", required=True)
    parser.add_argument("--output_folder", required=True)
    arguments, options = parser.parse_known_args()
    cross_validate(**vars(arguments), options=options)
