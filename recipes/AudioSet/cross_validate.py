#!/usr/bin/env python3
r"""Trains and evaluates one model per fold of custom data with folds.

> python recipes/AudioSet/cross_validate.py hparams/ast_fftp.yaml \
>     --data_folder ESC-50 --output_folder results/esc50 [options of train.py]

Each fold is trained by train.py in output_folder/fold_K. The same command
continues where it stopped: finished folds are only scored again, and train.py
refuses other options or changed data. folds.csv then has the metrics of all
folds, their mean, standard deviation and 95 % confidence interval (Student's t).
Accuracy is the fraction of clips whose most probable class is one of their
labels.

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

from speechbrain_fftp.dataio.files import write_csv
from speechbrain_fftp.datasets.prepare import list_data

TRAIN = Path(__file__).with_name("train.py")
METRICS = ("mAP", "AUC", "accuracy")


def cross_validate(hparams_file, data_folder, output_folder, options):
    """Trains all folds with the options of train.py, and writes folds.csv."""
    folds = {clip.fold for clip in list_data(data_folder).clips} - {""}
    if len(folds) < 2:
        raise ValueError(f"{data_folder} has no folds to cross-validate")
    rows = []
    for fold in sorted(folds, key=lambda fold: (len(fold), fold)):
        folder = Path(output_folder, f"fold_{fold}")
        command = [
            *(sys.executable, TRAIN, hparams_file, *options),
            f"--data_folder={data_folder}",
            f"--output_folder={folder}",
            f"--test_fold='{fold}'",  # or YAML would read 01 as 1
        ]
        subprocess.run(command, check=True)
        rows.append((fold, *read_metrics(folder)))
    values = np.array([row[1:] for row in rows])
    mean = values.mean(axis=0)
    half = scipy.stats.t.ppf(0.975, len(rows) - 1) * scipy.stats.sem(values)
    rows += [
        ("mean", *mean),
        ("std", *values.std(axis=0, ddof=1)),
        ("95 % from", *(mean - half)),
        ("95 % to", *(mean + half)),
    ]
    rows = [(name, *(f"{x:.4f}" for x in values)) for name, *values in rows]
    write_csv(Path(output_folder, "folds.csv"), ("fold", *METRICS), rows)
    for row in [("fold", *METRICS), *rows]:
        print("".join(entry.ljust(12) for entry in row))


def read_metrics(folder):
    """The METRICS of a fold in the output folder of train.py."""
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    with open(folder / "predictions.csv", encoding="utf-8") as file:
        is_right = [
            row["tag_1"] in row["labels"].split(";")
            for row in csv.DictReader(file)
        ]
    return metrics["mAP"], metrics["AUC"], np.mean(is_right)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("hparams_file")
    parser.add_argument("--data_folder", required=True)
    parser.add_argument("--output_folder", required=True)
    arguments, options = parser.parse_known_args()
    cross_validate(**vars(arguments), options=options)
