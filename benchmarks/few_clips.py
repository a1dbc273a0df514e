"""Compares fine-tuning with training from scratch on five clips per class.

Makes custom data (clips.csv) of the first clips of each of the ten instruments
of a data folder in AudioSet's format. The recipe trains on them from scratch
and from checkpoints, with the same options, and scores the same evaluation
clips. It trains the checkpoints as well, on the demo set or on a folder with
one folder per class. Writes benchmarks/results/few_clips.json and .md.

> python benchmarks/few_clips.py DATA_FOLDER --on demo FOLDER

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import csv
import json
import os
import statistics
import tempfile
from pathlib import Path

import harness

from speechbrain_fftp.datasets.audioset.lists import (
    read_class_list,
    read_segments,
)

ROOT = Path(__file__).resolve().parents[1]
MODEL = (
    "--embed_dim=192 --depth=4 --patch_frames=10 --stride_frames=10 "
    "--mixup_prob=0 --num_workers=0 --num_threads=1"
).split()
DEMO = ["--batch_size=8", "--lr=0.0005", "--number_of_epochs=8"]
FOLDERS = ["--batch_size=32", "--lr=0.0005", "--number_of_epochs=4"]
FEW = ["--batch_size=8", "--number_of_epochs=25"]
LISTS = {"train": "balanced_train", "valid": "valid", "eval": "eval"}


def take_few(data_folder, folder, clips):
    """Writes clips.csv with the first training clips of each class."""
    classes = read_class_list(data_folder / "class_labels_indices.csv")
    rows, taken = [], {}
    for split, name in LISTS.items():
        for clip in read_segments(data_folder / f"{name}_segments.csv"):
            kind = (split, clip.mids)
            taken[kind] = taken.get(kind, 0) + 1
            if split == "eval" or taken[kind] <= clips:
                labels = ";".join(classes[mid] for mid in clip.mids)
                rows.append((f"audio/{clip.id}.flac", labels, split))
    folder.mkdir()
    (folder / "audio").symlink_to(data_folder / "audio")
    with open(folder / "clips.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "labels", "split"), *rows])


def train(folder, *options):
    """Runs the recipe; returns its metrics and CPU minutes."""
    words = ["recipes/AudioSet/train.py", "hparams/ast_fftp.yaml"]
    words += [f"--output_folder={folder}", "--noprogressbar", *MODEL, *options]
    status, cpu_minutes, _ = harness.run_recipe(
        words, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    if status:
        raise SystemExit(f"few_clips: the recipe failed with status {status}")
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    keys = ("mAP", "AUC", "num_clips", "num_classes_scored")
    return {**{key: metrics[key] for key in keys}, "cpu_minutes": cpu_minutes}


def main():
    """Trains all models and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_folder", type=Path)
    parser.add_argument("--on", nargs="+", default=["demo"])
    parser.add_argument("--clips", type=int, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        work, checkpoints = Path(name), []
        take_few(args.data_folder.resolve(), work / "few", args.clips)
        for number, data in enumerate(args.on):
            options, label = DEMO, "the demo set"
            if data != "demo":
                label = Path(data).resolve().name
                options = [f"--data_folder={Path(data).resolve()}", *FOLDERS]
            about = train(work / f"checkpoint_{number}", *options)
            label += f" (there: mAP {about['mAP']:.3f},"
            label += f" {about['cpu_minutes']:.1f} CPU minutes)"
            checkpoints.append((label, work / f"checkpoint_{number}"))
        runs = [("random weights", ["--lr=0.001"])]
        for label, folder in checkpoints:
            source = f"--pretrained={folder / 'inference'}"
            runs.append((label, [source, "--lr=0.001", "--frozen_epochs=5"]))
        rows = []
        for number, (label, options) in enumerate(runs):
            shown = [o for o in options if "--pretrained" not in o]
            results = [
                train(
                    work / f"run_{number}_{seed}",
                    f"--data_folder={work / 'few'}",
                    f"--prepared_folder={work / 'prepared'}",
                    f"--seed={seed}",
                    *FEW,
                    *options,
                )
                for seed in args.seeds
            ]
            scores = [result["mAP"] for result in results]
            minutes = max(result["cpu_minutes"] for result in results)
            row = {
                "starts from": label,
                "options": " ".join(shown),
                "eval mAP (mean)": f"{statistics.mean(scores):.3f}",
                "each seed": ", ".join(f"{score:.3f}" for score in scores),
                "CPU minutes per run": f"at most {minutes:.1f}",
                "all": {"metrics": results},
            }
            harness.add_row(rows, row)
        clips = results[0]["num_clips"]
        scored = results[0]["num_classes_scored"]
    note = (
        f"{args.clips} training clips of each of ten instruments,"
        f" {clips} evaluation clips, {scored} classes scored. Options of all"
        f" runs: {' '.join([*MODEL, *FEW])}."
    )
    about = {**harness.environment("cpu"), "CPU threads": 1}
    harness.write_results("few_clips", about, {"Few clips": (note, rows)})


if __name__ == "__main__":
    main()
