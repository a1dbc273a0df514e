"""Measures whether scores that ``fftp-tag calibrate`` prints hold on other clips.

The starter is calibrated on one half of the clips of ESC-10 that it has not
learnt, of folds 1 and 5, and its tags are scored on the other half; parts of a
recording are in one half. DATA holds esc10, see docs/data.md.

Writes studies/results/tables/calibration.json, in two CPU minutes:

> python studies/calibration.py DATA

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import csv
import random
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [
    str(ROOT),
    str(ROOT / "benchmarks"),
    str(ROOT / "recipes" / "Starter"),
]
from starter_prepare import CLASSES, list_everyday

from fftp_tag import AudioTagger, evaluate
from fftp_tag.score.calibrate import calibrate
from fftp_tag.tag.sources import STARTER_MODEL
from studies.tables import write_tables

FOLDS = (1, 5)  # which the starter has not learnt
HALVES = 12
NOTE = (
    "Macro F1 of tags in %, of 12 random halves of 160 clips of ESC-10: the mean with "
    "the lowest and highest. Printed: by cross-validation in the half that is learnt "
    "from. Other half: of clips that were not learnt from."
)


def halve(clips, seed):
    """Two halves of the recordings of each class, as lists of clips."""
    rng = random.Random(seed)
    halves = [], []
    for label in sorted({clip.labels for clip in clips}):
        own = {}
        for clip in clips:
            if clip.labels == label:
                recording = clip.path.stem.rpartition("-")[0]
                own.setdefault(recording, []).append(clip)
        groups = list(own.values())
        rng.shuffle(groups)
        for number, group in enumerate(groups):
            halves[number % 2].extend(group)
    return halves


def write_clips(folder, clips):
    """Writes a table of clips."""
    folder.mkdir()
    (folder / "audio").symlink_to(clips[0].path.parent)
    with open(folder / "clips.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("path", "labels", "group"))
        for clip in clips:
            recording = clip.path.stem.rpartition("-")[0]
            path = Path("audio", clip.path.name)
            table.writerow((path, CLASSES[clip.labels[0]], recording))


def macro_f1(model, folder):
    """Macro F1 of the tags of a model, in percent."""
    tagger = AudioTagger.from_pretrained(model, threads=1)
    return 100 * evaluate(tagger, folder).metrics["macro_F1"]


def measure(clips, seed, folder):
    """The printed scores of a half, and those of the other."""
    for name, half in zip(("learnt", "other"), halve(clips, seed)):
        write_clips(folder / name, half)
    output = folder / "model.onnx"
    found = calibrate(STARTER_MODEL, folder / "learnt", output, force=True)
    before, after = (
        100 * x.f1["macro_F1"] for x in (found.before, found.after)
    )
    other = [macro_f1(x, folder / "other") for x in ("starter", output)]
    return {
        "printed, before": before,
        "printed, learnt": after,
        "other half, before": other[0],
        "other half, learnt": other[1],
        "written without --force": not found.objection,
    }


def main():
    """Measures, and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data.resolve()
    clips = [x for x in list_everyday(data / "esc10") if x.fold in FOLDS]
    draws = []
    for seed in range(HALVES):
        with tempfile.TemporaryDirectory() as folder:
            draws.append(measure(clips, seed, Path(folder)))
        print(seed, draws[-1], flush=True)
    row = {}
    for name in draws[0]:
        values = [draw[name] for draw in draws]
        row[name] = (
            f"{np.mean(values):.1f} [{min(values):.1f}, {max(values):.1f}]"
        )
        if name == "written without --force":
            row[name] = f"{sum(values)} of {HALVES}"
    write_tables("calibration", {"Halves": (NOTE, [row])})


if __name__ == "__main__":
    main()
