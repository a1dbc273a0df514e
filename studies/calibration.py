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
import random
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [
    str(ROOT),
    str(ROOT / "benchmarks"),
    str(ROOT / "recipes" / "Starter"),
]
from starter_prepare import CLASSES

from fftp_tag import AudioTagger, evaluate
from fftp_tag.score.calibrate import calibrate
from fftp_tag.tag.sources import STARTER_MODEL
from studies.own_sounds import list_clips, row_of, write_clips
from studies.tables import write_tables

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
    for label in sorted({clip.label for clip in clips}):
        own = {}
        for clip in clips:
            if clip.label == label:
                named = clip._replace(label=CLASSES[label])
                own.setdefault(clip.group, []).append(named)
        groups = list(own.values())
        rng.shuffle(groups)
        for number, group in enumerate(groups):
            halves[number % 2].extend(group)
    return halves


def measure(data, clips, seed, scratch):
    """The printed scores of a half, and those of the other."""
    folders, output = (
        (scratch / "learnt", scratch / "other"),
        scratch / "m.onnx",
    )
    for folder, half in zip(folders, halve(clips, seed)):
        write_clips(data, folder, [], half)  # whole, in one split
    found = calibrate(
        STARTER_MODEL, folders[0], output, split="eval", force=True
    )
    before, after = (
        100 * x.f1["macro_F1"] for x in (found.before, found.after)
    )
    other = [
        100 * evaluate(tagger, folders[1], split="eval").metrics["macro_F1"]
        for tagger in (
            AudioTagger.from_pretrained(model, threads=1)
            for model in ("starter", output)
        )
    ]
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
    clips = list_clips(data)["everyday sounds"]
    draws = []
    for seed in range(HALVES):
        with tempfile.TemporaryDirectory() as scratch:
            draws.append(measure(data, clips, seed, Path(scratch)))
        print(seed, draws[-1], flush=True)
    write_tables("calibration", {"Halves": (NOTE, [row_of(draws)])})


if __name__ == "__main__":
    main()
