"""Reads AudioSet's lists of classes and of segments.

They are published at https://research.google.com/audioset.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import os

from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.datasets.manifests import (
    Clip,
    open_csv,
    read_class_list,
    unique,
)

CLASS_LIST = "class_labels_indices.csv"


def read_classes(path=None):
    """Reads a class list, by default the one that comes with the package."""
    published = os.path.join(os.path.dirname(__file__), CLASS_LIST)
    return read_class_list(path or published)


def read_segments(path, split, classes):
    """Lists the clips of a segment list, without their audio files.

    Lines that start with ``#`` are comments.
    """
    clips = []
    with open_csv(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip() or line.startswith("#"):
                continue
            try:
                fields = next(csv.reader([line], skipinitialspace=True))
                clip_id, start, end, mids = (field.strip() for field in fields)
                start, end = float(start), float(end)
                if not 0 <= start < end:
                    raise InputError("a segment must end after its start")
            except (csv.Error, ValueError) as error:
                raise InputError(
                    f"{path}, line {number}: expected"
                    f' id, start, end, "mid,mid" but found {line[:80]!r}'
                ) from error
            labels = unique(mids.split(","))
            check_labels(labels, classes, f"{path}, line {number}")
            clips.append(
                Clip(
                    id=clip_id,
                    audio=None,
                    labels=labels,
                    split=split,
                    start=start,
                    end=end,
                    may_be_cut=True,
                )
            )
    if not clips:
        raise InputError(f"{path} lists no clips: the {split} split is empty")
    return clips


def check_labels(labels, classes, origin):
    """Raises an ``InputError`` for a label that is not in the class list."""
    for label in labels:
        if label not in classes:
            raise InputError(
                f"{origin}: {CLASS_LIST} does not list {label}: take both from"
                " the same release, or add the class to it"
            )
