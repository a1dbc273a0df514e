"""Plots the learning curves of a run of a recipe.

> python benchmarks/learning_curve.py OUTPUT_FOLDER PICTURE.svg

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import json
import re
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

EPOCH = re.compile(
    r"epoch: (\d+) - train loss: (\S+) - valid loss: (\S+), "
    r"valid (\w+): (\S+)"
)


def main():
    """Writes the picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("output_folder", type=Path, help="of the recipe")
    parser.add_argument("picture", help="path; its ending sets the format")
    args = parser.parse_args()
    found = EPOCH.findall((args.output_folder / "train_log.txt").read_text())
    if not found:
        raise SystemExit(f"{args.output_folder} has no epochs in train_log.txt")
    epochs, train, valid, names, scores = zip(*found)
    epochs = [int(epoch) for epoch in epochs]
    train, valid, scores = (list(map(float, x)) for x in (train, valid, scores))
    metrics = json.loads((args.output_folder / "metrics.json").read_text())

    matplotlib.rcParams["svg.hashsalt"] = "speechbrain_fftp"
    figure = Figure((8, 3), dpi=100, layout="constrained")
    losses, score = figure.subplots(1, 2)
    losses.plot(epochs, train, label="training, mixed and masked")
    losses.plot(epochs, valid, label="validation")
    losses.set_ylabel("loss")
    score.plot(epochs, scores, "C1", label="validation")
    label = "test, averaged weights"
    score.axhline(metrics[names[0]], color="C2", ls="--", label=label)
    score.set_ylabel(names[0])
    for axes in (losses, score):
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    figure.savefig(args.picture, metadata={"Date": None})


if __name__ == "__main__":
    main()
