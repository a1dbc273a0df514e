"""Reads AudioSet's lists: of classes, of segments, of events.

They are published at https://research.google.com/audioset.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import logging
import os

from speechbrain_fftp.datasets.manifests import (
    Clip,
    check_class_names,
    open_csv,
    read_class_list,
    unique,
)

logger = logging.getLogger(__name__)

CLASS_LIST = "class_labels_indices.csv"
MAX_SECONDS = 1e9  # a plausible limit for the length of a recording


def read_classes(path=None):
    """Reads a class list, by default the one that comes with the package."""
    published = os.path.join(os.path.dirname(__file__), CLASS_LIST)
    standard = read_class_list(published)
    if path is None or not os.path.isfile(path):
        return standard
    classes = read_class_list(path)
    check_class_names(classes.values(), path)
    if list(classes) != list(standard):
        logger.info(
            f"Using the {len(classes)} classes of {path}, which differ from"
            f" AudioSet's {len(standard)} or their order"
        )
    return classes


def read_segments(path):
    """Reads a segment list; lines that start with ``#`` are comments."""
    clips = []
    with open_csv(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip() or line.startswith("#"):
                continue
            try:
                fields = next(csv.reader([line], skipinitialspace=True))
                clip_id, start, end, mids = (field.strip() for field in fields)
                start, end = float(start), float(end)
                if not 0 <= start < end < MAX_SECONDS:
                    raise ValueError("a segment must end after its start")
            except (csv.Error, ValueError):
                raise ValueError(
                    f"{path}, line {number}: expected"
                    f' id, start, end, "mid,mid" but found {line[:80]!r}'
                )
            clips.append(Clip(clip_id, start, end, unique(mids.split(","))))
    return clips
