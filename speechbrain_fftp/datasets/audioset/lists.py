"""Reads AudioSet's CSV files: the list of classes and the segment lists.

They are published at https://research.google.com/audioset.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import csv
import os
import re
from pathlib import PureWindowsPath
from typing import NamedTuple, Tuple

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.audio import AUDIO_EXTENSIONS
from speechbrain_fftp.datasets.names import possible_ids

logger = get_logger(__name__)

CLASS_LIST = "class_labels_indices.csv"

CLIP_SECONDS = 10.0
MAX_SECONDS = 1e9  # a plausible limit for the length of a recording
# SpeechBrain's label encoder writes ' => ' between name and number; the last
# range stands for bytes of file names that are not UTF-8
NOT_IN_CLASS_NAMES = re.compile(r"[;$\x00-\x1f]| => |[\ud800-\udfff]")


class Segment(NamedTuple):
    """One labelled clip, by default the first 10 s of its audio."""

    id: str
    start: float = 0.0  # in seconds
    end: float = CLIP_SECONDS
    mids: Tuple[str, ...] = ()  # its class ids


# Columns of the tables of AudioSet-Strong and of DCASE
STRONG_COLUMNS = (
    ("segment_id", "start_time_seconds", "end_time_seconds", "label"),
    ("filename", "onset", "offset", "event_label"),
)


def read_class_list(path):
    """Reads class_labels_indices.csv; returns a dict from mid to name."""
    classes, names = {}, set()
    for line, row in read_table(path, ("mid", "display_name")):
        mid, name = row["mid"], row["display_name"]
        if not (mid and name) or mid in classes or name in names:
            raise ValueError(
                f"{path}, line {line}: each class needs a mid and a name of its"
                f" own, found {mid!r} and {name!r}"
            )
        classes[mid] = name
        names.add(name)
    if not classes:
        raise ValueError(f"{path} lists no class")
    return classes


def read_classes(path):
    """Reads a class list, by default the one that comes with the package."""
    published = os.path.join(os.path.dirname(__file__), CLASS_LIST)
    classes = read_class_list(published)
    if os.path.isfile(path):
        standard, classes = classes, read_class_list(path)
        check_class_names(classes.values(), path)
        if list(classes) != list(standard):
            logger.info(
                f"Using the {len(classes)} classes of {path}, which differ from"
                f" AudioSet's {len(standard)} or their order"
            )
    return classes


def check_class_names(names, origin):
    """Raises a ValueError for names that manifests cannot hold."""
    for name in names:
        if NOT_IN_CLASS_NAMES.search(name):
            raise ValueError(
                f"{origin}: rename {name!r}: ';', '$', ' => ' and control"
                " characters have a special meaning in manifests"
            )


def read_segments(path):
    """Reads a segment list; lines that start with ``#`` are comments."""
    segments = []
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
            mids = unique_mids(mids.split(","))
            segments.append(Segment(clip_id, start, end, mids))
    return segments


def read_table(path, columns, delimiter=","):
    """Yields number and entries of each line of a CSV file with a header.

    Entries are stripped, and empty where a line ends early. Columns that are
    missing, and lines with too many entries, are errors.
    """
    with open_csv(path) as file:
        options = {"delimiter": delimiter, "skipinitialspace": True}
        reader = csv.DictReader(file, **options)
        found = reader.fieldnames or []
        for column in columns:
            if column not in found:
                raise ValueError(f"{path} has no column '{column}': {found}")
        for row in reader:
            if None in row:
                what = {",": "a comma", "\t": "a tab"}[delimiter]
                raise ValueError(
                    f"{path}, line {reader.line_num}: more entries than "
                    f"columns, the last are {row[None]}: put entries with "
                    f"{what} in double quotes"
                )
            entries = {key: (row[key] or "").strip() for key in row}
            yield reader.line_num, entries


def read_strong_labels(path, clips, classes, split):
    """Events as start, end in seconds and label, by the ids of clips.

    ``path`` is a table with one of ``STRONG_COLUMNS``, separated by tabs;
    ``classes`` maps its labels, such as mids, to those returned. Of the
    ``clips`` of the split, those are returned that the table lists: with an
    event, or in a row that is otherwise empty if they have none. Without any,
    or without an event of the classes, there is a ValueError.
    """
    with open_csv(path) as file:
        header = set(next(csv.reader(file, delimiter="\t"), ()))
    names = next((x for x in STRONG_COLUMNS if set(x) <= header), None)
    if names is None:
        known = (", ".join(columns) for columns in STRONG_COLUMNS)
        raise ValueError(
            f"{path} needs the tab-separated columns {', or '.join(known)}."
        )
    listed, ids = {}, {}
    for line, row in read_table(path, names, delimiter="\t"):
        clip, start, end, label = (row[name] for name in names)
        if clip not in ids:
            ids[clip] = _find_clip(clip, names[0], clips)
        events = listed.setdefault(ids[clip], []) if ids[clip] else []
        if not (start or end or label):
            continue
        try:
            start, end = float(start), float(end)
            if not 0 <= start < end:
                raise ValueError("an event must end after its start")
        except ValueError as error:
            raise ValueError(f"{path}, line {line}: {error}") from error
        events.append((start, end, classes.get(label, label)))
    if not listed:
        raise ValueError(
            f"{path} lists no clip of the {split} split: it lists"
            f" {next(iter(ids), None)!r}, the split has {next(iter(clips))!r}."
            " Name clips by their ids, or their paths in the data folder."
        )
    found = {label for events in listed.values() for *_, label in events}
    if not found.intersection(classes.values()):
        raise ValueError(
            f"{path} has no event of the {split} split and a known class: its"
            f" labels are such as {sorted(found)[:3]}, the classes such as"
            f" {list(classes.values())[:3]}."
        )
    return listed


def _find_clip(name, column, clips):
    """The id of the clip that a column of a table names, or None."""
    ids = [name]
    if column == "segment_id":  # YouTube's id, with the start of the segment
        ids += re.findall(r"^([\w-]{11})_\d+$", name)
    else:
        path = PureWindowsPath(name).as_posix()
        path += "" if path.lower().endswith(AUDIO_EXTENSIONS) else ".wav"
        ids += [os.path.splitext(path)[0], *possible_ids(path)]
    return next((clip for clip in ids if clip in clips), None)


def cut_events(listed, durations, path):
    """Cuts events at the ends of clips; logs how many begin after them.

    ``listed`` is read from ``path``. Clips without a duration are skipped.
    """
    kept = {}
    for clip, end in durations.items():
        if clip in listed:
            events = (x for x in listed[clip] if x[0] < end)
            kept[clip] = [(a, min(b, end), label) for a, b, label in events]
    late = sum(len(listed[clip]) - len(kept[clip]) for clip in kept)
    if late:
        text = "%s: dropped %d events that begin after the end of their clip"
        logger.warning(text, path, late)
    return kept


@contextlib.contextmanager
def open_csv(path):
    """Opens a CSV file in UTF-8, with errors that name the file."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            yield file
    except (UnicodeDecodeError, csv.Error) as err:
        raise ValueError(f"{path} is not a CSV file in UTF-8: {err}")


def unique_mids(mids):
    """Drops blanks and duplicates and keeps the order."""
    return tuple(dict.fromkeys(m.strip() for m in mids if m and m.strip()))
