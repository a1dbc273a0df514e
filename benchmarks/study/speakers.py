"""Accuracy by speaker in a run of the Speech Commands recipe.

Clips of one speaker are similar, so that the number of speakers, not that of
clips, limits how precise the accuracy on a test set is.

> python benchmarks/study/speakers.py OUTPUT_FOLDER TABLE

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import csv
from collections import Counter
from pathlib import Path

from speechbrain_fftp.dataio.files import atomic_path

HEADER = "| speaker | clips | errors | errors in % |\n|---|---|---|---|\n"


def read_errors(path):
    """Counts clips and errors of each speaker in a run's predictions.csv.

    A clip without a speaker, such as one of silence, counts as a speaker.
    """
    clips, errors = Counter(), Counter()
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            name, mark, _ = row["ID"].partition("_nohash_")
            speaker = name.rpartition("_")[2] if mark else name
            clips[speaker] += 1
            errors[speaker] += row["tag_1"] != row["labels"]
    return clips, errors


def standard_error(clips, errors):
    """Standard error of an error rate, for speakers drawn at random.

    That of a ratio of two sums over clusters (Cochran, Sampling Techniques,
    section 6.4), given clips and errors by speaker.
    """
    total, n = sum(clips.values()), len(clips)
    rate = sum(errors.values()) / total
    squares = sum((errors[s] - rate * clips[s]) ** 2 for s in clips)
    return (squares * n / (n - 1)) ** 0.5 / total


def main():
    """Writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("output_folder", type=Path, help="of the recipe")
    parser.add_argument("table", help="the file to write")
    args = parser.parse_args()
    clips, errors = read_errors(args.output_folder / "predictions.csv")
    total, wrong = sum(clips.values()), sum(errors.values())
    alone = (wrong * (total - wrong) / total**3) ** 0.5
    order = sorted(clips, key=lambda s: (-errors[s], -clips[s], s))
    with atomic_path(args.table) as path, open(path, "w") as file:
        file.write(
            f"Accuracy {100 * (1 - wrong / total):.2f} % of {total} clips, "
            f"{wrong} errors.\n\nIts standard error is {100 * alone:.1f} points "
            "if clips are drawn at random, "
            f"{100 * standard_error(clips, errors):.1f} if speakers are. "
            "Speakers with errors:\n\n" + HEADER
        )
        for s in order:
            if errors[s]:
                percent = 100 * errors[s] / clips[s]
                file.write(
                    f"| {s} | {clips[s]} | {errors[s]} | {percent:.0f} |\n"
                )


if __name__ == "__main__":
    main()
