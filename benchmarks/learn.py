"""Measures how long it takes to learn classes from 100 clips of 5 s.

Uses five classes of 20 clips of noise, which no model could learn, and encoders
with random weights: the demo's and CED-tiny's. Four augmented copies of each
clip are learnt from as well. The second time, all features are cached.
Writes benchmarks/results/learn.json.

> python benchmarks/learn.py

Authors
 * The speechbrain_fftp authors 2026
"""

import shutil
import statistics
import tempfile
import time
from pathlib import Path

import harness
import numpy as np
import soundfile
from random_models import CED_TINY, RATE, make_small_taggers

import fftp_tag

CLASSES, CLIPS = 5, 20
GOAL = 15  # seconds


def write_clips(folder, seconds):
    """Writes a folder of clips for each class."""
    noise = np.random.default_rng(0)
    for label in range(CLASSES):
        own_folder = folder / f"class {label}"
        own_folder.mkdir(parents=True)
        for number in range(CLIPS):
            wav = noise.uniform(-0.1, 0.1, int(seconds * RATE))
            soundfile.write(own_folder / f"{number}.flac", wav, RATE)
    return folder


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=3)
    rows, targets = [], []
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        clips = write_clips(scratch / "clips", 0.5 if args.smoke else 5)
        taggers = make_small_taggers(scratch, args.smoke, args.threads)
        for name, tagger in taggers.items():
            times = {"first": [], "again": []}
            for _ in range(args.rounds):
                output = scratch / "output"
                shutil.rmtree(output, ignore_errors=True)
                output.mkdir()
                for when in times:
                    start = time.perf_counter()
                    fftp_tag.learn(tagger, clips, output / "model.onnx")
                    times[when].append(time.perf_counter() - start)
            row = {"model": name}
            for when, seconds in times.items():
                row[f"{when}, s"] = f"{statistics.median(seconds):.1f}"
            harness.add_row(rows, row)
            if name != CED_TINY:
                continue
            targets.append(
                harness.target(
                    "five classes learned from 100 clips of 5 s, CED-tiny",
                    GOAL,
                    statistics.median(times["first"]),
                    unit=" s",
                    at_least=False,
                )
            )
    note = (
        f"{CLASSES * CLIPS} clips of 5 s, cross-validation included, median "
        f"of {args.rounds} rounds; the model is loaded already."
    )
    harness.write_results(
        "learn",
        harness.environment("cpu"),
        {"Learning": (note, rows), "Targets": ("", targets)},
    )


if __name__ == "__main__":
    main()
