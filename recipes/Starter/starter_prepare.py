#!/usr/bin/env python3
"""Prepares recordings of any sounds for the starter model.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import fnmatch
import logging
import re
from collections import Counter
from pathlib import Path

import numpy as np

from fftp_tag import AudioTagger
from fftp_tag.audio.decode import find_audio_files, read_audio
from fftp_tag.data.clips import Clip, as_int16
from fftp_tag.data.names import text_digest
from fftp_tag.data.prepared import preparing, write_prepared
from fftp_tag.data.tables import read_table
from fftp_tag.errors import InputError
from fftp_tag.files import write_csv

logger = logging.getLogger(__name__)

RATE = 16000
SHORTEST = 0.1  # seconds, without silence at the ends
# A speaker of Speech Commands, or a number of Freesound, in the name of a file
GROUP = re.compile(r"[0-9a-f]{8}(?=_nohash)|\d{4,}")
TAKE = re.compile(r"[\W_]*\d+[a-z]?$")
# Tables beside recordings, their columns of names, and those that are copied
TABLES = ("attribution.csv", "clips.csv")
NAMES = ("file", "ytid")
CREDITS = ("title", "author", "license", "licence", "source", "freesound_id")
LABELS = "audioset"  # the column of true classes, by name, separated by ;


def prepare_starter(
    audio_folders,
    prepared_folder,
    *,
    teacher,
    exclude=(),
    valid_fraction=0.05,
):
    """Converts all recordings below some folders, unless that is done.

    Silence at their ends is cut off. All recordings of a group, by the column
    ``group`` of a table beside them or their names, are in one split: training, or
    validation.

    Arguments
    ---------
    audio_folders : list of str
        Folders of recordings, of different names.
        Tables beside them, attribution.csv or clips.csv, may tell the origin of
        each, and its classes.
    prepared_folder : str
        Folder to write to. ``attribution.csv`` there lists the origins.
    teacher : str
        The model whose classes are learnt, see ``AudioTagger``.
    exclude : list of str
        Patterns of paths that are left out, such as ``*/4-*``.
    valid_fraction : float
        Fraction of the groups for validation.

    Raises
    ------
    InputError
        If there are no recordings, two folders have one name, a table has a class
        that the teacher lacks, or the prepared folder holds other data.
    """
    names = {Path(folder).name for folder in audio_folders}
    if len(names) < len(audio_folders):
        raise InputError("audio_folders must have different names.")
    recordings = {
        clip_id(Path(folder).name, Path(path).relative_to(folder)): Path(path)
        for folder in audio_folders
        for path in find_audio_files(folder)[0]
        if not any(fnmatch.fnmatch(path, pattern) for pattern in exclude)
    }
    if not recordings:
        raise InputError(f"all recordings match exclude={list(exclude)}.")
    labels = AudioTagger.from_pretrained(teacher).labels
    tables = read_tables(recordings.values())
    classes = {
        name: read_labels(path, tables, labels)
        for name, path in recordings.items()
    }
    settings = {
        "recordings": text_digest("\n".join(recordings)),
        "classes": text_digest("\n".join(map(str, classes.values()))),
        "labels": text_digest("\n".join(labels)),
        "valid_fraction": valid_fraction,
    }
    with preparing(prepared_folder, settings) as to_do:
        if not to_do:
            return
        clips = [
            Clip(
                name,
                path,
                labels=classes[name],
                split=choose_split(
                    find_row(path, tables).get("group") or path.stem,
                    valid_fraction,
                ),
            )
            for name, path in recordings.items()
        ]
        write_prepared(
            prepared_folder,
            clips,
            {label: label for label in labels},
            sample_rate=RATE,
            splits=("train", "valid"),
            convert=lambda clip: read_sound(clip.audio),
        )
        write_attribution(prepared_folder, recordings, tables)


def clip_id(folder, path):
    """An id, which is a file name as well, and begins with its folder's."""
    folder = re.sub(r"[^\w.]+", "_", folder)
    path = re.sub(r"[^\w.-]+", "--", str(path))
    return f"{folder}--{path}"


def choose_split(name, valid_fraction):
    """The split of a recording, which depends on its group alone."""
    is_valid = share_of(find_group(name)) < valid_fraction
    return "valid" if is_valid else "train"


def find_group(name):
    """The speaker or number in a name, or else what it shares with other takes."""
    found = GROUP.search(name)
    return found[0] if found else TAKE.sub("", name)


def share_of(name):
    """A number from 0 to 1 that a name alone decides on."""
    return int(text_digest(name)[:8], 16) / 16**8


def select_rows(rows, *, fraction=1.0, withheld=(), heard=None):
    """Chooses the recordings of a manifest that are learnt from.

    Arguments
    ---------
    rows : dict
        Rows of a manifest by id.
    fraction : float
        Of the groups of recordings, that are kept.
    withheld : list of str
        Classes whose recordings are left out, by their true classes and by the
        best of the teacher.
    heard : str, optional
        The table of what the teacher hears best, see hear.py.

    Returns
    -------
    dict
        The rows that are kept.
    """
    best = {}
    if withheld:
        columns = ("ID", "best")
        best = {x["ID"]: x["best"] for _, x in read_table(heard, columns)}
    return {
        name: row
        for name, row in rows.items()
        if share_of("of " + find_group(Path(name).stem)) < fraction
        and not {*row["labels"].split(";"), best.get(name)} & set(withheld)
    }


def read_sound(path):
    """The 16-bit samples ``[S]`` of a recording, without silence at the ends."""
    wav = as_int16(read_audio(path, RATE))
    heard = np.flatnonzero(np.abs(wav) > 1)
    if not len(heard) or heard[-1] - heard[0] < SHORTEST * RATE:
        raise InputError("silent, or nearly so")
    return wav[heard[0] : heard[-1] + 1]


def read_tables(paths):
    """What the tables in the folders of recordings, and in the folders above,
    tell of each: rows by folder and the recording's name.
    """
    tables = {}
    for place in {x for path in paths for x in path.parents[:2]}:
        for table in (place / name for name in TABLES):
            if not table.is_file():
                continue
            with open(table, newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    name = next((row[x] for x in NAMES if row.get(x)), "")
                    tables[place, Path(name).stem] = {"table": table, **row}
    return tables


def find_row(path, tables):
    """The row of a recording, which is empty without one."""
    rows = (tables.get((place, path.stem)) for place in path.parents[:2])
    return next(filter(None, rows), {})


def read_labels(path, tables, labels):
    """The true classes of a recording, if its table tells them."""
    row = find_row(path, tables)
    found = tuple(filter(None, row.get(LABELS, "").split(";")))
    for name in found:
        if name not in labels:
            raise InputError(
                f"{row['table']}: the teacher has no class {name!r}."
            )
    return found


def write_attribution(folder, recordings, tables):
    """Writes attribution.csv: where the recordings are from."""
    counts = Counter()
    for name, path in recordings.items():
        row = find_row(path, tables)
        told = [f"{x}: {row[x]}" for x in CREDITS if row.get(x)]
        counts[name.partition("--")[0], "; ".join(told)] += 1
    rows = [(place, told, count) for (place, told), count in counts.items()]
    unknown = sum(count for _, told, count in rows if not told)
    if unknown:
        logger.warning(
            "%d recordings have no row in %s beside them: write their authors "
            "and licences into attribution.csv",
            unknown,
            " or ".join(TABLES),
        )
    path = Path(folder, "attribution.csv")
    write_csv(path, ("folder", "credit", "recordings"), rows)
