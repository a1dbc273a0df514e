#!/usr/bin/env python3
"""Scores models on everyday sounds that have one class each.

The classes are those of a fold of ESC-50, as AudioSet calls them; the best of them
is right or wrong. DATA has the folders esc10 and everyday, see
studies/README.md. Fold 4 is held back: nothing is chosen or learnt by it.

> python recipes/Starter/score.py DATA --models starter results/starter

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import csv
from pathlib import Path

import numpy as np

from fftp_tag import AudioTagger

# AudioSet's names for ESC-10; everyday has a column of them
NAMES = {
    "baby_cry": "Baby cry, infant cry",
    "chainsaw": "Chainsaw",
    "clock_tick": "Tick-tock",
    "dog_bark": "Bark",
    "fire_crackling": "Crackle",
    "helicopter": "Helicopter",
    "person_sneeze": "Sneeze",
    "rain": "Rain",
    "rooster": "Crowing, cock-a-doodle-doo",
    "sea_waves": "Waves, surf",
}


def read_clips(data, fold):
    """The paths of a fold's clips, and their classes."""
    clips = {}
    for table in ("esc10/esc10.csv", "everyday/clips.csv"):
        with open(data / table, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                name = row.get("audioset", NAMES.get(row["label"]))
                if row["fold"] == str(fold) and name:
                    path = (data / table).parent / "audio" / row["file"]
                    clips[path] = name
    return clips


def score(tagger, clips):
    """Whether the best of the classes is right, for each clip."""
    names = sorted({x for x in clips.values() if x in tagger.labels})
    columns = [tagger.labels.index(name) for name in names]
    right = []
    for path, name in clips.items():
        probs = tagger.clip_probabilities(path)[columns]
        right.append(names[probs.argmax()] == name)
    return names, np.array(right)


def main():
    """Prints a row for each model."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", nargs="+", default=["starter"])
    parser.add_argument("--fold", type=int, default=5, choices=(1, 2, 3, 5))
    args = parser.parse_args()
    clips = read_clips(args.data, args.fold)
    print(f"{len(clips)} clips of {len(set(clips.values()))} classes\n")
    print("| model | classes that it knows | best of these is right |")
    print("| --- | --- | --- |")
    for source in args.models:
        tagger = AudioTagger.from_pretrained(source, threads=1)
        names, right = score(tagger, clips)
        print(f"| {source} | {len(names)} | {100 * right.mean():.1f} % |")


if __name__ == "__main__":
    main()
