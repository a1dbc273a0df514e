#!/usr/bin/env python3
"""Asks a teacher what it hears in each recording of some prepared folders.

The answers are stored beside the recordings, in blocks; those that are there are
not asked for again. heard.csv names the best class of each recording.

> python recipes/Starter/hear.py PREPARED --teacher MODEL \
>     --folders pool everyday --backgrounds everyday

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import os
from collections import Counter
from pathlib import Path

import numpy as np
from mixtures import Mixtures
from starter_prepare import RATE

from fftp_tag.files import write_csv
from speechbrain.dataio.dataio import load_data_csv

BLOCK = 256  # recordings
SEED = 0


def ask(clips, numbers):
    """Probabilities ``[N, C]`` of what the teacher hears in recordings."""
    answers = []
    for number in numbers:
        rng = np.random.default_rng((SEED, number))
        probs, _ = clips.teacher.answer(clips.place(number, rng))
        answers.append(probs.numpy())
    return np.stack(answers)


def main():
    """Writes the answers and their table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--folders", nargs="+", required=True)
    parser.add_argument("--backgrounds", nargs="+", help="of these folders")
    args = parser.parse_args()
    rows = {
        name: row
        for split in ("train", "valid")
        for name, row in load_data_csv(
            args.prepared / f"{split}.csv", {"data_root": str(args.prepared)}
        ).items()
        if name.partition("--")[0] in args.folders
    }
    clips = Mixtures(
        rows,
        args.teacher,
        size=len(rows),
        seed=SEED,
        sample_rate=RATE,
        background_folders=args.backgrounds,
    )
    folder = args.prepared / "heard"
    folder.mkdir(exist_ok=True)
    answers = []
    for start in range(0, len(rows), BLOCK):
        path = folder / f"{start:06d}.npy"
        if not path.exists():
            numbers = range(start, min(start + BLOCK, len(rows)))
            scratch = path.with_suffix(".tmp")
            with open(scratch, "wb") as file:
                np.save(file, ask(clips, numbers))
            os.replace(scratch, path)
        answers.append(np.load(path))
    answers = np.concatenate(answers)
    labels = clips.teacher.model.labels
    best = [labels[place] for place in answers.argmax(1)]
    table = zip(rows, best, answers.max(1).round(4), strict=True)
    write_csv(args.prepared / "heard.csv", ("ID", "best", "probability"), table)
    counts = Counter(best).most_common()
    print(
        f"{len(rows)} recordings, {len(counts)} classes are the best somewhere"
    )
    print("; ".join(f"{label} {count}" for label, count in counts))


if __name__ == "__main__":
    main()
