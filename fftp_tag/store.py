"""One file for the embeddings of many clips or files: the form of an index, and of
what ``learn`` keeps.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from fftp_tag.files import (
    LEFT,
    PathLike,
    atomic_path,
    named_damage,
    remove_leftovers,
)

Entries = Mapping[str, tuple[np.ndarray, ...]]


def write_entries(
    path: PathLike, about: dict[str, Any], entries: Entries
) -> None:
    """Writes a few arrays ``[N, ...]`` for each name, and what they are about.

    All names have as many arrays; N differs.
    """
    columns = zip(*entries.values(), strict=True)
    arrays: dict[str, Any] = {}
    for number, column in enumerate(columns):
        arrays[f"counts{number}"] = np.array(list(map(len, column)))
        arrays[f"rows{number}"] = np.concatenate(column)
    arrays["about"] = np.array(json.dumps([about, list(entries)]))
    remove_leftovers(path, LEFT)
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


def read_entries(path: PathLike, remedy: str) -> tuple[dict[str, Any], Entries]:
    """Reads what ``write_entries`` has written: what it is about, and the arrays.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    InputError
        If it is damaged; the message ends with the remedy.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path}: there is no such file.")
    with named_damage(path, remedy), np.load(path) as file:
        about, names = json.loads(str(file["about"]))
        columns = [
            np.split(
                file[f"rows{number}"], np.cumsum(file[f"counts{number}"])[:-1]
            )
            for number in range(len(file.files) // 2)
        ]
        rows = zip(*columns, strict=True)
        return about, dict(zip(names, rows, strict=True))
