"""Reads the clips of a prepared folder.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
from pathlib import Path

import soundfile as sf

SPLITS = ("train", "valid", "eval", "test")


def read_rows(path):
    """The rows of a table, as dictionaries."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_part(row, folder, dtype="int16"):
    """The samples ``[S]`` of a row of a manifest."""
    path = row["wav"].replace("$data_root", str(folder))
    start, stop = int(row["start"]), int(row["stop"])
    return sf.read(path, start=start, stop=stop, dtype=dtype)[0]


def read_clips(folder):
    """The samples ``[S]`` of all clips of a prepared folder, by id."""
    paths = [Path(folder, f"{split}.csv") for split in SPLITS]
    rows = sum((read_rows(path) for path in paths if path.is_file()), [])
    return {row["ID"]: read_part(row, folder) for row in rows}
