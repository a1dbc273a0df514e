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
from speechbrain_fftp.datasets.custom.listing import find_custom_data

TRAIN = Path(__file__).with_name("train.py")
METRICS = ("mAP", "AUC", "accuracy")


def cross_validate(hparams_file, data_folder, output_folder, options):
    """Trains all folds and writes folds.csv.

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
        If the data have no folds, or --debug is given.
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
    custom = find_custom_data(data_folder)
    folds = {clip.fold for clip in custom.clips} - {""} if custom else set()
    if len(folds) < 2:
        raise ValueError(f"{data_folder} has no folds to cross-validate")
    rows = []
    for fold in sorted(folds, key=lambda fold: (len(fold), fold)):
        folder = Path(output_folder, f"fold_{fold}")
        run = subprocess.run(
            [
                *(sys.executable, TRAIN, hparams_file, *options),
                f"--data_folder={data_folder}",
                f"--output_folder={folder}",
                f"--test_fold='{fold}'",  # or YAML would read 01 as 1
            ]
        )
        if run.returncode:
            raise SystemExit(
                f"Fold {fold} failed; the same command continues with it"
            )
        metrics = read_metrics(folder)
        rows.append((fold, *(metrics[name] for name in METRICS)))
    rows += summarize([row[1:] for row in rows])
    rows = [(name, *(f"{x:.4f}" for x in values)) for name, *values in rows]
    write_csv(Path(output_folder, "folds.csv"), ("fold", *METRICS), rows)
    for row in [("fold", *METRICS), *rows]:
        print("".join(entry.ljust(12) for entry in row))


def summarize(metrics):
    """Computes statistics of the folds.

    Arguments
    ---------
    metrics : list of list of float
        The metrics of each fold.

    Returns
    -------
    list of tuple
        Name and values of the mean, the standard deviation and the ends of the
        95 % confidence interval.
    """
    metrics = np.array(metrics)
    number = len(metrics)
    mean = metrics.mean(axis=0)
    std = metrics.std(axis=0, ddof=1)
    half = scipy.stats.t.ppf(0.975, number - 1) * std / np.sqrt(number)
    return [
        ("mean", *mean),
        ("std", *std),
        ("95 % from", *(mean - half)),
        ("95 % to", *(mean + half)),
    ]


def read_metrics(folder):
    """Reads the metrics of a fold.

    Arguments
    ---------
    folder : pathlib.Path
        The output folder of train.py.

    Returns
    -------
    dict
        metrics.json, and ``accuracy``.
    """
    with open(folder / "predictions.csv", encoding="utf-8") as file:
        is_right = [
            row["tag_1"] in row["labels"].split(";")
            for row in csv.DictReader(file)
        ]
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    return {**metrics, "accuracy": np.mean(is_right)}


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
