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
from pathlib import Path

import numpy as np
import soundfile
from everyday import TRAINING, read_clips
from starter_prepare import RATE, find_row, read_tables

from fftp_tag.audio.decode import read_audio
from fftp_tag.audio.sounds import find_sounds
from fftp_tag.data.names import text_digest
from fftp_tag.data.tables import read_table
from fftp_tag.data.word_splits import read_lists, split_of
from fftp_tag.files import write_csv

SOUNDS = 4  # of a class
SHORTEST, LONGEST = 0.1, 1.5  # seconds of a sound
GAP = 0.25  # seconds of silence after a sound
LEVEL = 0.1  # standard deviation of a sound, unless that would clip
SPEECH_COMMANDS = "Speech Commands v2, arXiv 1804.03209"
COLUMNS = ("kind", "start", "end", "title", "author", "licence", "source")


def list_sounds(data):
    """Yields the kind and the path of each clip."""
    for clip in read_clips(data):
        if clip.fold in TRAINING:
            yield clip.label, clip.path
    folder = data / "audioset_mini"
    columns = ("ytid", "source_label", "split")
    for _, row in read_table(folder / "clips.csv", columns):
        if row["split"] == "train":
            path = folder / "audio" / f"{row['ytid']}.flac"
            yield row["source_label"], path
    lists = read_lists(data / "speech_commands")
    for path in sorted(data.glob("speech_commands/*/*_nohash_*.flac")):
        word = path.parent.name
        if word[0] != "_" and split_of(f"{word}/{path.stem}", lists) == "train":
            yield "spoken word", path


def choose(clips, tables):
    """So many sounds of each kind, of different recordings."""
    kinds = {}
    for kind, path in clips:
        row = find_row(path, tables)
        recording = row.get("group") or row.get("freesound_id")
        if recording is None:  # a word: its speaker
            recording = path.stem.partition("_")[0]
        chosen = kinds.setdefault(kind, {})
        rank = text_digest(path.name), path
        chosen[recording] = min(rank, chosen.get(recording, rank))
    for kind in sorted(kinds):
        found = 0
        for _, path in sorted(kinds[kind].values()):
            wav = read_audio(path, RATE)
            start, end = find_sounds(wav, RATE)[0]
            end = min(end, start + LONGEST)
            if end - start >= SHORTEST and found < SOUNDS:
                found += 1
                yield kind, wav[int(start * RATE) : int(end * RATE)], path


def find_origin(path, tables):
    """Title, author, licence and source of a clip."""
    row = find_row(path, tables)
    if not row:
        word = f"{path.parent.name}/{path.stem}"
        return word, "Google", "CC BY 4.0", SPEECH_COMMANDS
    return (
        row.get("title") or row["source_clip"],
        row.get("author", ""),
        row.get("licence") or row["license"],
        row.get("source") or f"freesound.org, {row['freesound_id']}",
    )


def main():
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    args = parser.parse_args()
    parts, rows, size = [], [], 0
    gap = np.zeros(round(GAP * RATE), np.float32)
    clips = [*list_sounds(args.data)]
    tables = read_tables([path for _, path in clips])
    for kind, wav, path in choose(clips, tables):
        wav = wav * min(LEVEL / wav.std(), 0.9 / np.abs(wav).max())
        start, end = size / RATE, (size + len(wav)) / RATE
        origin = find_origin(path, tables)
        rows.append((kind, f"{start:.3f}", f"{end:.3f}", *origin))
        parts += [wav, gap]
        size += len(wav) + len(gap)
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
