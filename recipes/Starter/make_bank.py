#!/usr/bin/env python3
"""Makes the bank of other sounds that ``fftp-tag learn`` learns from.

DATA has the folders esc10, everyday, audioset_mini and speech_commands, see
studies/README.md. Of each of their classes in folds 1 to 3, and in what is for
training, the bank has four sounds of different recordings.

> python recipes/Starter/make_bank.py DATA fftp_tag/learning

writes bank.ogg and bank.csv, which tells where each sound is, and its origin.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import csv
from pathlib import Path

import numpy as np
import soundfile

from fftp_tag.audio.decode import read_audio
from fftp_tag.audio.sounds import find_sounds
from fftp_tag.data.names import text_digest
from fftp_tag.data.word_splits import read_lists, split_of
from fftp_tag.files import write_csv

RATE = 16000
SOUNDS = 4  # of a class
SHORTEST, LONGEST = 0.1, 1.5  # seconds of a sound
GAP = 0.25  # seconds of silence after a sound
LEVEL = 0.1  # standard deviation of a sound, unless that would clip
FOLDS = ("1", "2", "3")
COLUMNS = ("kind", "start", "end", "title", "author", "licence", "source")


def read_rows(path):
    """The rows of a table, by name of file."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {row.get("file") or row.get("ytid"): row for row in rows}


def list_sounds(data):
    """Yields the kind, the path, the recording and the origin of each clip."""
    credits = read_rows(data / "esc10/attribution.csv")
    for name, row in read_rows(data / "esc10/esc10.csv").items():
        if row["fold"] in FOLDS:
            credit = credits[name]
            yield (
                row["label"],
                data / "esc10/audio" / name,
                credit["freesound_id"],
                {
                    **credit,
                    "licence": credit["license"],
                    "source": f"freesound.org, {credit['freesound_id']}",
                },
            )
    for name, row in read_rows(data / "everyday/clips.csv").items():
        if row["fold"] in FOLDS:
            path = data / "everyday/audio" / name
            yield row["label"], path, row["group"], row
    with open(data / "audioset_mini/balanced_train_segments.csv") as file:
        train = {line.partition(",")[0] for line in file}
    for name, row in read_rows(data / "audioset_mini/clips.csv").items():
        if name in train:
            [path] = (data / "audioset_mini/audio").rglob(f"*{name}*")
            credit = {
                "title": row["source_clip"],
                "licence": row["license"],
                "source": f"freesound.org, {row['freesound_id']}",
            }
            yield row["source_label"], path, row["freesound_id"], credit
    lists = read_lists(data / "speech_commands")
    for path in sorted(data.glob("speech_commands/*/*_nohash_*.flac")):
        name = f"{path.parent.name}/{path.stem}.wav"
        if path.parent.name[0] != "_" and split_of(name, lists) == "train":
            credit = {
                "title": name,
                "author": "Speech Commands v2, Google",
                "licence": "CC BY 4.0",
                "source": "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
            }
            speaker = path.stem.partition("_")[0]
            yield "spoken word", path, speaker, credit


def choose(clips):
    """So many sounds of each kind, of different recordings."""
    kinds = {}
    for kind, path, recording, credit in clips:
        chosen = kinds.setdefault(kind, {})
        rank = text_digest(path.name)
        if rank < chosen.get(recording, ("~",))[0]:
            chosen[recording] = rank, path, credit
    for kind in sorted(kinds):
        found = 0
        for _, path, credit in sorted(kinds[kind].values(), key=lambda x: x[0]):
            wav = read_audio(path, RATE)
            start, end = find_sounds(wav, RATE)[0]
            end = min(end, start + LONGEST)
            if end - start >= SHORTEST and found < SOUNDS:
                found += 1
                yield kind, wav[int(start * RATE) : int(end * RATE)], credit


def main():
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    args = parser.parse_args()
    parts, rows, size = [], [], 0
    for kind, wav, credit in choose(list_sounds(args.data)):
        wav = wav * min(LEVEL / wav.std(), 0.9 / np.abs(wav).max())
        origin = [credit.get(name, "") for name in COLUMNS[3:]]
        ends = size / RATE, (size + len(wav)) / RATE
        rows.append((kind, *(f"{x:.3f}" for x in ends), *origin))
        parts += [wav, np.zeros(round(GAP * RATE), np.float32)]
        size += sum(map(len, parts[-2:]))
    soundfile.write(
        args.output / "bank.ogg",
        np.concatenate(parts),
        RATE,
        format="OGG",
        subtype="OPUS",
        compression_level=0.96,  # about 15 kbit/s
    )
    write_csv(args.output / "bank.csv", COLUMNS, rows)
    kinds = len({row[0] for row in rows})
    print(f"{len(rows)} sounds of {kinds} kinds, {size / RATE:.0f} s")


if __name__ == "__main__":
    main()
