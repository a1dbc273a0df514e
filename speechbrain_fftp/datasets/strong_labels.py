"""Reads tables of events (strong labels) of AudioSet-Strong, DCASE and Audacity.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import logging
import os
import re
from pathlib import PureWindowsPath

import numpy as np

from speechbrain_fftp.dataio.audio import AUDIO_EXTENSIONS
from speechbrain_fftp.dataio.class_names import class_name
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.dataio.prepared import open_csv, read_table
from speechbrain_fftp.datasets.names import possible_ids

logger = logging.getLogger(__name__)

# Columns of the tables of AudioSet-Strong and of DCASE
STRONG_COLUMNS = (
    ("segment_id", "start_time_seconds", "end_time_seconds", "label"),
    ("filename", "onset", "offset", "event_label"),
)


def read_strong_labels(path, clips, classes, split):
    """Reads the events (start and end in seconds, label) of clips, by id.

    ``path`` is a tab-separated table with one of ``STRONG_COLUMNS``, or a label
    track of Audacity if there is one clip. ``classes`` maps its labels, such as
    mids, to the returned labels; None keeps all labels. ``clips`` that the
    table does not list are left out; a row with a name alone lists a clip
    without events.

    Raises
    ------
    InputError
        If a row is invalid, or there is no clip of the split, or no event of
        the classes.
    """
    names, rows = _read_rows(path, clips)
    listed = {}
    ids = {}
    for line, clip, start, end, label in rows:
        if clip not in ids:
            ids[clip] = _find_clip(clip, names[0], clips)
        events = listed.setdefault(ids[clip], []) if ids[clip] else []
        if not (start or end or label):
            continue
        try:
            start, end = float(start), float(end)
            if not 0 <= start < end:
                raise ValueError("an event must end after its start")
            label = class_name(label)
        except ValueError as error:
            raise InputError(f"{path}, line {line}: {error}") from error
        label = label if classes is None else classes.get(label, label)
        events.append((start, end, label))
    if not listed:
        raise InputError(
            f"{path} lists no clip of the {split} split: it lists"
            f" {next(iter(ids), None)!r}, the split has {next(iter(clips))!r}."
            " Name clips by their ids, or their paths in the data folder."
        )
    found = {label for events in listed.values() for *_, label in events}
    if classes is not None and not found.intersection(classes.values()):
        raise InputError(
            f"{path} has no event of a known class in the {split} split: its"
            f" labels include {sorted(found)[:3]}, the classes include"
            f" {list(classes.values())[:3]}."
        )
    return listed


def _read_rows(path, clips):
    """The columns of a table, and its rows: line, clip, start, end, label."""
    with open_csv(path) as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    header = set(rows[0]) if rows else set()
    for names in STRONG_COLUMNS:
        if set(names) <= header:
            table = read_table(path, names, delimiter="\t")
            return names, ((n, *(row[x] for x in names)) for n, row in table)
    # Audacity adds rows that begin with a backslash, for frequencies
    events = [(n, row) for n, row in enumerate(rows, 1) if row]
    events = [(n, row) for n, row in events if row[0] != "\\"]
    if not events or any(len(row) != 3 for _, row in events):
        known = (", ".join(columns) for columns in STRONG_COLUMNS)
        raise InputError(
            f"{path} needs the tab-separated columns {', or '.join(known)}; or"
            " start, end and label in each row, without a header, as Audacity"
            " exports them."
        )
    if len(clips) > 1:
        raise InputError(
            f"{path} is a label track, of one recording, but there are"
            f" {len(clips)} clips: give the recording as data folder, or a table"
            f" with the columns {', '.join(STRONG_COLUMNS[1])}."
        )
    [clip] = clips
    rows = [(n, clip, *map(str.strip, row)) for n, row in events]
    return STRONG_COLUMNS[1], rows


def _find_clip(name, column, clips):
    """The id of the clip that a column of a table names, or None."""
    ids = [name]
    if column == "segment_id":  # YouTube's id, with the start of the segment
        ids += re.findall(r"^([\w-]{11})_\d+$", name)
    else:
        path = PureWindowsPath(name).as_posix()
        if not path.lower().endswith(AUDIO_EXTENSIONS):
            path = f"{path}.wav"
        ids += [os.path.splitext(path)[0], *possible_ids(path)]
    return next((clip for clip in ids if clip in clips), None)


def cut_events(listed, durations, path):
    """Cuts events at the end of their clip; drops and counts later ones.

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


def make_frame_targets(times, events, n_classes):
    """Frame-level targets ``[N, C]``: 1.0 within an event of a class.

    ``times`` are the centres of the predictions; an event is its start and end
    in seconds, and the index of its class.
    """
    targets = np.zeros((len(times), n_classes), np.float32)
    for start, end, number in events:
        inside = (times >= start) & (times < end)
        if not inside.any():  # a short event marks the nearest prediction
            inside[np.abs(times - (start + end) / 2).argmin()] = True
        targets[inside, number] = 1.0
    return targets
