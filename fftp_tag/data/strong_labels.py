"""Tables of events (strong labels), and label tracks of recordings.

Tables name the clip of each event: those of AudioSet-Strong, of DCASE, and of
``fftp-tag --timeline --format csv``. Label tracks are of one recording: those
of Audacity and Raven, and any table that names one recording only.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import logging
import os
import re
from pathlib import PureWindowsPath

import numpy as np

from fftp_tag.audio.decode import AUDIO_EXTENSIONS
from fftp_tag.data.class_names import class_name
from fftp_tag.data.names import possible_ids
from fftp_tag.data.tables import open_csv, read_table
from fftp_tag.errors import InputError
from fftp_tag.files import files_below

logger = logging.getLogger(__name__)

Truth = dict[str, list[tuple[float, float, str]]]  # start, end, label by clip

# Columns of the clip, start, end and label of an event; Raven names no clip,
# and lets users name the column of labels
AUDIOSET = "segment_id", "start_time_seconds", "end_time_seconds", "label"
DCASE = "filename", "onset", "offset", "event_label"
FFTP_TAG = "file", "start", "end", "label"
RAVEN = [
    (None, "Begin Time (s)", "End Time (s)", label)
    for label in ("Label", "Annotation", "Common Name")
]
# What the name of a label track has after that of its recording
TRACK_ENDINGS = (
    ".Table.1.selections.txt",
    ".selections.txt",
    ".txt",
    ".csv",
    ".tsv",
)


def read_strong_labels(path, clips, classes, where):
    """Reads the events (start and end in seconds, label) of clips, by id.

    ``path`` is a table, a label track if there is one clip, or a folder of
    label tracks that are named after the clips. ``classes`` maps labels of the
    table, such as mids, to the returned labels; None keeps all labels.
    ``clips`` that are not listed are left out; a row with a name alone lists a
    clip without events, and so does an empty label track.

    Raises
    ------
    InputError
        If a row is invalid, or there is none of the clips, or no event of the
        classes. ``where`` describes the clips in messages.
    """
    if os.path.isdir(path):
        listed, names = _read_tracks(path, clips)
    else:
        listed, names = _read_file(path, clips)
    if not listed:
        raise InputError(
            f"{path} lists none of {where}: it lists"
            f" {next(iter(names), None)!r}, they include {next(iter(clips))!r}."
            " Name clips by their ids, or their paths in the data folder."
        )
    if classes is not None:
        listed = {
            clip: [(start, end, classes.get(x, x)) for start, end, x in events]
            for clip, events in listed.items()
        }
    found = {label for events in listed.values() for *_, label in events}
    if classes is not None and not found.intersection(classes.values()):
        raise InputError(
            f"{path} has no event of a known class in {where}: its"
            f" labels include {sorted(found)[:3]}, the classes include"
            f" {list(classes.values())[:3]}."
        )
    return listed


def find_tracks(folder, clips):
    """The label tracks below a folder that are named after clips, by id.

    A track of ``a.wav`` is ``a.txt`` or ``a.wav.txt``, for example.

    Raises
    ------
    InputError
        If a clip has several.
    """
    tracks = {}
    for path in files_below(folder):
        ending = next((x for x in TRACK_ENDINGS if path.endswith(x)), None)
        if ending is None:
            continue
        clip = _find_clip(path.removesuffix(ending), DCASE[0], clips)
        path = os.path.join(folder, path)
        if clip in tracks:
            raise InputError(
                f"{tracks[clip]} and {path} are label tracks of one recording:"
                " keep one of them."
            )
        if clip is not None:
            tracks[clip] = path
    return tracks


def _read_tracks(folder, clips):
    """The events of each clip with a label track, and names of the tracks."""
    listed = {}
    for clip, path in find_tracks(folder, clips).items():
        _, rows = _read_rows(path)
        if len({name for _, name, *_ in rows}) > 1:
            raise InputError(
                f"{path} names several recordings: give it as the table, or"
                " rename it if it is no label track."
            )
        listed[clip] = [
            _parse_event(path, *row) for row in rows if any(row[2:])
        ]
    return listed, sorted(os.listdir(folder))


def _read_file(path, clips):
    """The events of the clips in a table, and the names in the table."""
    column, rows = _read_rows(path)
    if column is None and len(clips) > 1:
        raise InputError(
            f"{path} is a label track, of one recording, but there are"
            f" {len(clips)} clips: give the recording as data folder, a folder"
            f" of label tracks, or a table with the columns {', '.join(DCASE)}."
        )
    listed = {next(iter(clips)): []} if column is None else {}
    ids = {}
    for line, name, start, end, label in rows:
        if name not in ids:
            ids[name] = _find_clip(name, column, clips)
        if ids[name] is None:
            continue
        events = listed.setdefault(ids[name], [])
        if start or end or label:
            events.append(_parse_event(path, line, name, start, end, label))
    return listed, ids


def _read_rows(path):
    """The column that names clips, if any, and the rows of a table.

    A row is the line, the name of the clip, start, end and label.
    """
    with open_csv(path) as file:
        first = file.readline().rstrip("\r\n")
    delimiter = "\t" if "\t" in first else ","
    header = set(first.split(delimiter))
    for column, *others in (AUDIOSET, DCASE, FFTP_TAG, *RAVEN):
        if header.issuperset(others) and (column is None or column in header):
            table = read_table(path, others, delimiter)
            rows = [
                (n, row.get(column), *(row[x] for x in others))
                for n, row in table
                if not row.get("error")  # of a file that fftp-tag cannot read
            ]
            if column is None:  # a selection has a row for each of its views
                rows = list({row[2:]: row for row in rows}.values())
            return column, rows
    # Audacity adds rows that begin with a backslash, for frequencies
    with open_csv(path) as file:
        table = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        events = [(n, row) for n, row in enumerate(table, 1) if row]
    events = [(n, row) for n, row in events if row[0] != "\\"]
    if any(len(row) != 3 for _, row in events):
        known = (", ".join(columns) for columns in (AUDIOSET, DCASE))
        raise InputError(
            f"{path} needs the tab-separated columns {', or '.join(known)}; or"
            f" {', '.join(FFTP_TAG)}, separated by commas; or start, end and"
            " label in each row, without a header, as Audacity exports them; or"
            f" those of Raven: {', '.join(RAVEN[0][1:])}."
        )
    return None, [(n, None, *map(str.strip, row)) for n, row in events]


def _parse_event(path, line, name, start, end, label):
    """Start and end in seconds, and label of an event in a row."""
    try:
        start, end = float(start), float(end)
        if not 0 <= start < end:
            raise ValueError("an event must end after its start")
        if not label:
            raise ValueError("an event needs a label")
        label = class_name(label)
    except ValueError as error:
        raise InputError(f"{path}, line {line}: {error}") from error
    return start, end, label


def _find_clip(name, column, clips):
    """The id of the clip that a column of a table names, or None."""
    if column is None:
        return next(iter(clips))
    ids = [name]
    if column == AUDIOSET[0]:  # YouTube's id, with the start of the segment
        ids += re.findall(r"^([\w-]{11})_\d+$", name)
    else:
        path = PureWindowsPath(name).as_posix()
        if not path.lower().endswith(AUDIO_EXTENSIONS):
            path = f"{path}.wav"
        ids += [os.path.splitext(path)[0], *possible_ids(path)]
        if column == FFTP_TAG[0]:  # as the command names it
            folders = path.split("/")[:-1]
            for folder in folders:
                path = path.removeprefix(f"{folder}/")
                ids += possible_ids(path)
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


def write_strong_labels(path, events):
    """Writes the events (start and end in seconds, label) of clips, by id.

    A table as DCASE's, in which a clip without events has an empty row.
    """
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(DCASE)
        for clip, of_clip in events.items():
            for start, end, label in of_clip:
                table.writerow((clip, f"{start:.3f}", f"{end:.3f}", label))
            if not of_clip:
                table.writerow((clip, "", "", ""))


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
