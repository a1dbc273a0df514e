"""Finds custom data: clips in a table, or in one folder per class.

Classes, ids and, unless they are given, splits depend only on the files found.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import os
from pathlib import PureWindowsPath
from typing import NamedTuple

from speechbrain_fftp.dataio.audio import AUDIO_EXTENSIONS
from speechbrain_fftp.dataio.files import clip_ids
from speechbrain_fftp.datasets.audioset.layouts import (
    AUDIOSET_SPLITS,
    CLASS_LIST,
    SEGMENT_LISTS,
    is_audioset,
)
from speechbrain_fftp.datasets.audioset.lists import (
    CLIP_SECONDS,
    Segment,
    check_class_names,
    open_csv,
)
from speechbrain_fftp.datasets.own_sounds.splits import OwnClip, assign_splits

CLIP_LIST = "clips.csv"
SPLIT_WORDS = {**{split: split for split in AUDIOSET_SPLITS}, "test": "eval"}
LAYOUTS = (
    f"A data folder has either {CLIP_LIST} with the columns path and labels"
    " (joined by ';') and, optionally, split and group; or one folder per"
    f" class with clips in it ({', '.join(AUDIO_EXTENSIONS)}); or AudioSet's"
    f" {CLASS_LIST} with {SEGMENT_LISTS['train']}, {SEGMENT_LISTS['eval']} and"
    " audio/; or that list with parquet shards, such as"
    " data/bal_train/00.parquet and data/eval/00.parquet."
)


class OwnSounds(NamedTuple):
    """Custom data: classes, Segments of each split, and the file of each id.

    The classes are a sorted dict from name to name: the name is the identifier.
    """

    classes: dict
    listed: dict
    files: dict


def find_own_sounds(data_folder):
    """Lists the clips of a data folder in one of the layouts of custom data.

    These are ``clips.csv`` or, without it, one folder per class; missing splits
    are assigned by ``assign_splits``. Returns OwnSounds, or None if the folder
    is missing, has no clips, or has one of AudioSet's lists or parquet shards.
    Errors say what to change.
    """
    data_folder = str(data_folder)
    if not os.path.isdir(data_folder) or is_audioset(data_folder):
        return None
    origin = os.path.join(data_folder, CLIP_LIST)
    if os.path.isfile(origin):
        clips = read_clip_list(origin)
    else:
        clips, origin = list_class_folders(data_folder), data_folder
    if not clips:
        return None
    labels = sorted({label for clip in clips for label in clip.labels})
    check_class_names(labels, origin)
    if len(labels) < 2:
        raise ValueError(
            f"{origin}: at least two classes are needed, found"
            f" {', '.join(labels) or 'none'}. {LAYOUTS}"
        )
    splits = assign_splits(clips)
    missing = [split for split in AUDIOSET_SPLITS if split not in splits]
    if missing:
        raise ValueError(
            f"{origin}: too few clips for the splits {', '.join(missing)}. At"
            " least one class needs three clips (of three groups)."
        )
    ids = clip_ids([clip.path for clip in clips])
    listed = {split: [] for split in AUDIOSET_SPLITS}
    for clip, split in zip(clips, splits):
        segment = Segment(ids[clip.path], 0.0, CLIP_SECONDS, clip.labels)
        listed[split].append(segment)
    files = {i: os.path.join(data_folder, path) for path, i in ids.items()}
    return OwnSounds({label: label for label in labels}, listed, files)


def read_clip_list(path):
    """Reads a table of clips; returns a list of OwnClip.

    Its columns are ``path`` (relative to the folder of the table), ``labels``
    (joined by ``;``) and optionally ``split`` (train, valid, eval or test) and
    ``group``, which may be empty. Errors name the file and the line.
    """
    clips, seen = [], {}
    with open_csv(path) as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        columns = reader.fieldnames or []
        for column in ("path", "labels"):
            if column not in columns:
                raise ValueError(f"{path} has no column '{column}': {columns}")
        for row in reader:
            try:
                clip = _parse_row(row)
                line, earlier = seen.setdefault(
                    clip.path, (reader.line_num, clip)
                )
                if clip != earlier:
                    raise ValueError(
                        f"{clip.path!r} is in line {line} as well, with other"
                        " entries: use one line, with labels joined by ';'"
                    )
            except ValueError as error:
                raise ValueError(f"{path}, line {reader.line_num}: {error}")
            clips.append(clip)
    if not clips:
        raise ValueError(f"{path} lists no clip")
    return clips


def _parse_row(row):
    """Turns a row into a clip; errors say what to change."""
    if None in row:
        raise ValueError(
            f"more entries than columns, the last are {row[None]}: put entries"
            " with a comma in double quotes"
        )
    entry = {key: (value or "").strip() for key, value in row.items()}
    if not entry["path"]:
        raise ValueError("the path is empty")
    # It knows the absolute paths and separators of other systems as well
    path = PureWindowsPath(entry["path"])
    if path.drive or path.root or ".." in path.parts or not path.parts:
        raise ValueError(
            f"the path {entry['path']!r} must be relative to the folder of"
            " this table and within it"
        )
    split = entry.get("split", "").lower()
    if split and split not in SPLIT_WORDS:
        raise ValueError(
            f"the split is {split!r}, not one of {', '.join(SPLIT_WORDS)}"
        )
    labels = (label.strip() for label in entry["labels"].split(";"))
    return OwnClip(
        path.as_posix(),
        tuple(dict.fromkeys(filter(None, labels))),
        SPLIT_WORDS.get(split, ""),
        entry.get("group", ""),
    )


def list_class_folders(data_folder):
    """Lists the clips of a folder with one folder per class, sorted by path.

    Names that begin with a dot are skipped. Folders within those of the classes
    may have any name; links to folders among them are not followed.
    """
    found = {}
    for name in sorted(os.listdir(data_folder)):
        top = os.path.join(data_folder, name)
        if name.startswith(".") or not os.path.isdir(top):
            continue
        found[name] = []
        for folder, folders, files in os.walk(top):
            folders[:] = [f for f in folders if not f.startswith(".")]
            for file in files:
                is_audio = file.lower().endswith(AUDIO_EXTENSIONS)
                if is_audio and not file.startswith("."):
                    path = os.path.join(folder, file)
                    path = os.path.relpath(path, data_folder)
                    path = path.replace(os.sep, "/")
                    found[name].append(OwnClip(path, (name,)))
    empty = [name for name, clips in found.items() if not clips]
    if 0 < len(empty) < len(found):
        raise ValueError(
            f"{data_folder}: no clip ({', '.join(AUDIO_EXTENSIONS)}) in the"
            f" class folders {', '.join(map(repr, empty))}: add some, or remove"
            " the folders"
        )
    return sorted(clip for clips in found.values() for clip in clips)
