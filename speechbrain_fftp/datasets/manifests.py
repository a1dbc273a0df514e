"""Clips, classes and manifests, in the form that all data sets share.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import csv
import dataclasses
import math
import os
import re
from typing import List, NamedTuple, Tuple, Union

from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.dataio.files import write_csv

CLIP_SECONDS = 10.0
CLASSES_CSV = "classes.csv"
# SpeechBrain's label encoder writes ' => ' between name and number; the last
# range stands for bytes of file names that are not UTF-8
NOT_IN_CLASS_NAMES = re.compile(r"[;$\x00-\x1f]| => |[\ud800-\udfff]")


class ParquetAudio(NamedTuple):
    """The place of an audio file in a parquet shard."""

    path: str
    row_group: int
    row: int  # in the row group


@dataclasses.dataclass(frozen=True, slots=True)
class Clip:
    """One labelled clip, by default the first 10 s of its audio."""

    id: str
    audio: Union[str, ParquetAudio, None]  # None: there is no audio
    labels: Tuple[str, ...] = ()  # the ids of its classes; none: no class
    split: str = ""  # empty: to be assigned
    start: float = 0.0  # seconds
    end: float = math.inf  # the end of the file
    # Whether the audio may be the clip itself, not the recording that start
    # and end refer to
    may_be_cut: bool = False
    gain: float = 1.0
    group: str = ""  # clips of a group share a split
    fold: str = ""

    @property
    def seconds(self):
        """Its maximum duration."""
        return self.end - self.start if self.end < math.inf else CLIP_SECONDS

    @property
    def is_missing(self):
        """Whether the audio file is missing."""
        if isinstance(self.audio, ParquetAudio):
            return False
        return self.audio is None or not os.path.exists(self.audio)


@dataclasses.dataclass
class Listing:
    """The classes and clips of a data folder."""

    folder: str
    classes: dict  # from id to name, in order
    clips: List[Clip]
    tables: list  # the files that list the clips
    is_custom: bool = False

    @property
    def files(self):
        """All files that prepared clips depend on."""
        files = set(self.tables)
        for clip in self.clips:
            audio = clip.audio
            if isinstance(audio, ParquetAudio):
                audio = audio.path
            if audio is not None:
                files.add(audio)
        return sorted(files)


@contextlib.contextmanager
def open_csv(path):
    """Opens a CSV file in UTF-8, with errors that name the file."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            yield file
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a CSV file in UTF-8: {error}")


def read_table(path, columns, delimiter=","):
    """Yields number and entries of each line of a CSV file with a header.

    Entries are stripped, and empty where a line ends early.

    Raises
    ------
    InputError
        If a column is missing, or a line has too many entries or a NUL byte.
    """
    with open_csv(path) as file:
        reader = csv.DictReader(
            file, delimiter=delimiter, skipinitialspace=True
        )
        header = reader.fieldnames or []
        for column in columns:
            if column not in header:
                raise InputError(f"{path} has no column '{column}': {header}")
        for row in reader:
            if None in row:
                raise InputError(
                    f"{path}, line {reader.line_num}: more entries than "
                    f"columns, the last are {row[None]}: put entries with "
                    f"{delimiter!r} in double quotes"
                )
            if any("\0" in (entry or "") for entry in row.values()):
                raise InputError(
                    f"{path}, line {reader.line_num}: there is a NUL byte: "
                    "save the table again as a CSV file in UTF-8"
                )
            yield (
                reader.line_num,
                {key: (entry or "").strip() for key, entry in row.items()},
            )


def read_class_list(path):
    """Reads a table of classes; returns a dict from mid to display name."""
    classes = {}
    for line, row in read_table(path, ("mid", "display_name")):
        mid = row["mid"]
        name = row["display_name"]
        if not mid or not name or mid in classes or name in classes.values():
            raise InputError(
                f"{path}, line {line}: each class needs a unique mid and a"
                f" unique name, found {mid!r} and {name!r}"
            )
        classes[mid] = name
    if not classes:
        raise InputError(f"{path} lists no classes")
    check_class_names(classes.values(), path)
    return classes


def read_classes_csv(prepared_folder):
    """Reads a prepared folder's classes as a dict from mid to display name."""
    return read_class_list(os.path.join(prepared_folder, CLASSES_CSV))


def check_class_names(names, origin):
    """Raises an ``InputError`` for names that manifests cannot hold."""
    for name in names:
        if NOT_IN_CLASS_NAMES.search(name):
            raise InputError(
                f"{origin}: rename {name!r}: ';', '$', ' => ' and control"
                " characters have a special meaning in manifests"
            )


def unique(names):
    """Drops blanks and duplicates and keeps the order."""
    return tuple(
        dict.fromkeys(name.strip() for name in names if name and name.strip())
    )


def write_manifest(
    path, clips, packed, sample_rate, classes, label_column="labels"
):
    """Writes the manifest of a split; ``packed`` has PackedClips by id."""
    rows = []
    for clip in clips:
        wav, start, stop = packed[clip.id]
        duration = (stop - start) / sample_rate
        labels = ";".join(classes[label] for label in clip.labels)
        rows.append((clip.id, duration, wav, start, stop, labels))
    header = ("ID", "duration", "wav", "start", "stop", label_column)
    write_csv(path, header, rows)


def write_classes(prepared_folder, classes):
    """Writes classes.csv."""
    write_csv(
        os.path.join(prepared_folder, CLASSES_CSV),
        ("index", "mid", "display_name"),
        [(i, *entry) for i, entry in enumerate(classes.items())],
    )
