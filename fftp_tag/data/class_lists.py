"""Lists of classes: ids, such as AudioSet's mids, and names.

Authors
 * The speechbrain_fftp authors 2026
"""

import os

from fftp_tag.data.class_names import class_name
from fftp_tag.data.tables import read_table
from fftp_tag.errors import InputError
from fftp_tag.files import PathLike, write_csv

CLASSES_CSV = "classes.csv"  # in a prepared folder


def read_class_list(path: PathLike) -> dict[str, str]:
    """Reads a table of classes; returns a dict from mid to display name."""
    classes: dict[str, str] = {}
    for line, row in read_table(path, ("mid", "display_name")):
        mid = row["mid"]
        name = class_name(row["display_name"], f"{path}, line {line}")
        if not mid or mid in classes or name in classes.values():
            raise InputError(
                f"{path}, line {line}: each class needs a unique mid and a"
                f" unique name, found {mid!r} and {name!r}"
            )
        classes[mid] = name
    if not classes:
        raise InputError(f"{path} lists no classes")
    return classes


def read_classes_csv(folder: PathLike) -> dict[str, str]:
    """Reads a prepared folder's classes as a dict from mid to display name."""
    return read_class_list(os.path.join(folder, CLASSES_CSV))


def write_classes(folder: PathLike, classes: dict[str, str]) -> None:
    """Writes classes.csv."""
    rows = [(i, *entry) for i, entry in enumerate(classes.items())]
    header = ("index", "mid", "display_name")
    write_csv(os.path.join(folder, CLASSES_CSV), header, rows)
