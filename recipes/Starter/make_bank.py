#!/usr/bin/env python3
"""Makes the bank of other sounds that ``fftp-tag learn`` learns from.

FOLDERS are those that make_folders.py makes. Their sounds are of the kinds that a
teacher hears, see hear.py; the bank has two of each, of different recordings whose
authors are known.

> python recipes/Starter/make_bank.py OUT/pool OUT/everyday \
>     --heard PREPARED/heard.csv --output fftp_tag/learning

writes bank.ogg and bank.csv, which tells where each sound is, and its origin.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
from pathlib import Path

import numpy as np
import soundfile
from make_folders import NOT_FREE
from starter_prepare import RATE, clip_id, find_group, find_row, read_tables

from fftp_tag.audio.decode import find_audio_files, read_audio
from fftp_tag.audio.sounds import find_sounds
from fftp_tag.data.names import text_digest
from fftp_tag.data.tables import read_table
from fftp_tag.files import write_csv

SOUNDS = 2  # of a kind
SHORTEST, LONGEST = 0.1, 1.5  # seconds of a sound
GAP = 0.25  # seconds of silence after a sound
LEVEL = 0.1  # standard deviation of a sound, unless that would clip
COLUMNS = ("kind", "start", "end", "title", "author", "licence", "source")


def list_sounds(folders, heard, least):
    """Yields the kind, the path and the table's row of each recording whose
    author is known, or who asks for no name.
    """
    kinds = {
        row["ID"]: row["best"]
        for _, row in read_table(heard, ("ID", "best", "probability"))
        if float(row["probability"]) >= least
    }
    for folder in folders:
        paths = [Path(path) for path in find_audio_files(folder)[0]]
        tables = read_tables(paths)
        for path in paths:
            kind = kinds.get(clip_id(folder.name, path.relative_to(folder)))
            row = find_row(path, tables)
            licence = row.get("licence") or row.get("license")
            is_known = row.get("author") or licence == "CC0"
            if kind and licence and licence != NOT_FREE and is_known:
                yield kind, path, row


def choose(sounds):
    """So many sounds of each kind, of different groups of recordings."""
    kinds = {}
    for kind, path, row in sounds:
        chosen = kinds.setdefault(kind, {})
        group = find_group(row.get("group") or path.stem)
        rank = text_digest(path.name), path, row
        chosen[group] = min(rank, chosen.get(group, rank))
    for kind in sorted(kinds):
        found = 0
        for _, path, row in sorted(kinds[kind].values(), key=lambda x: x[0]):
            wav = read_audio(path, RATE)
            start, end = find_sounds(wav, RATE)[0]
            end = min(end, start + LONGEST)
            if end - start >= SHORTEST and found < SOUNDS:
                found += 1
                wav = wav[int(start * RATE) : int(end * RATE)]
                yield kind, wav, find_origin(row)


def find_origin(row):
    """Title, author, licence and source of a recording."""
    return (
        row.get("title", ""),
        row.get("author", ""),
        row.get("licence") or row["license"],
        row.get("source") or f"freesound.org, {row.get('freesound_id', '')}",
    )


def main():
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--heard", type=Path, required=True)
    parser.add_argument("--least", type=float, default=0.2, help="probability")
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()
    parts, rows, size = [], [], 0
    gap = np.zeros(round(GAP * RATE), np.float32)
    sounds = list_sounds(args.folders, args.heard, args.least)
    for kind, wav, origin in choose(sounds):
        wav = wav * min(LEVEL / wav.std(), 0.9 / np.abs(wav).max())
        start, end = size / RATE, (size + len(wav)) / RATE
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
