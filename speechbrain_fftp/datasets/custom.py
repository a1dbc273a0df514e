"""Lists custom data: clips in a table, or in one folder per class.

Authors
 * The speechbrain_fftp authors 2026
"""

import math
import os
import re
from pathlib import PureWindowsPath

from speechbrain_fftp.dataio.audio import AUDIO_EXTENSIONS, find_audio_files
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.datasets.manifests import (
    Clip,
    Listing,
    check_class_names,
    read_table,
    unique,
)
from speechbrain_fftp.datasets.names import clip_ids, files_below, folders_in

CLIP_LIST = "clips.csv"
SPLIT_NAMES = {
    "train": "train",
    "valid": "valid",
    "eval": "eval",
    "test": "eval",
}
BACKGROUND = "background"  # the folder of clips without a class
# Columns of published tables that stand for the columns of clips.csv
PUBLISHED_TABLES = {
    "meta/esc50.csv": {
        "path": "audio/{filename}",
        "labels": "{category}",
        "group": "{src_file}",
        "fold": "{fold}",
    },
    "metadata/UrbanSound8K.csv": {
        "path": "audio/fold{fold}/{slice_file_name}",
        "labels": "{class}",
        "group": "{fsID}",
        "fold": "{fold}",
    },
    "FSD50K.ground_truth/dev.csv": {
        "path": "FSD50K.dev_audio/{fname}.wav",
        "labels": "{labels}",
        "split": "{split}",
    },
    "FSD50K.ground_truth/eval.csv": {
        "path": "FSD50K.eval_audio/{fname}.wav",
        "labels": "{labels}",
        "split": "eval",
    },
}
LAYOUTS = (
    f"A data folder has {CLIP_LIST} with the columns path and labels (joined by"
    " ';') and, optionally, split or fold, group, and start and end in seconds;"
    " or one folder per class with clips in it, and a folder background for"
    " clips of no class; or train, valid and test with one folder per class"
    " each; or ESC-50, UrbanSound8K or FSD50K with their tables; or AudioSet's"
    " lists and audio, or parquet shards."
)


def list_clips(data_folder, min_classes=2):
    """Lists custom clips.

    One class is enough if there are background clips.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist or holds no clips.
    InputError
        If a table is invalid, clips are in no folder of a class, or there are
        fewer than ``min_classes`` classes.
    """
    data_folder = os.path.abspath(data_folder)
    if not os.path.isdir(data_folder):
        raise FileNotFoundError(f"{data_folder} is not a folder")
    tables = {CLIP_LIST: None, **PUBLISHED_TABLES}
    paths = {n: os.path.join(data_folder, n) for n in tables}
    paths = {name: p for name, p in paths.items() if os.path.isfile(p)}
    if CLIP_LIST in paths:
        paths = {CLIP_LIST: paths[CLIP_LIST]}
    rows = []
    for name, path in paths.items():
        rows += read_rows(path, tables[name])
    if not paths:
        rows = class_folder_rows(data_folder)
    if not rows:
        files, _ = find_audio_files(data_folder)
        if files:
            raise InputError(
                f"{data_folder}: its audio files, such as {files[0]}, are in no"
                " folder of a class. Put the clips of each sound into a folder"
                " that is named after it, such as Doorbell/"
            )
        raise FileNotFoundError(f"{data_folder} holds no clips. {LAYOUTS}")
    ids = clip_ids([row["key"] for row in rows])
    clips = [_make_clip(data_folder, ids[row["key"]], row) for row in rows]
    names = sorted({label for clip in clips for label in clip.labels})
    check_class_names(names, data_folder)
    has_negatives = any(not clip.labels for clip in clips)
    if len(names) < (1 if has_negatives else min_classes):
        raise InputError(
            f"{data_folder}: at least two classes are needed, or one class and"
            f" background; found {', '.join(names) or 'none'}. {LAYOUTS}"
        )
    return Listing(
        folder=data_folder,
        classes=dict(zip(names, names)),
        clips=clips,
        tables=list(paths.values()),
        is_custom=True,
    )


def _make_clip(data_folder, clip_id, row):
    """Makes a Clip from a row."""
    start, end = row.get("times") or (0.0, math.inf)
    return Clip(
        id=clip_id,
        audio=os.path.join(data_folder, row["path"]),
        labels=row["labels"],
        split=row.get("split", ""),
        start=start,
        end=end,
        group=row.get("group") or row["path"],
        fold=row.get("fold", ""),
    )


def read_rows(path, fields=None):
    """Reads a table of clips with the columns of ``LAYOUTS``.

    ``fields``, one of PUBLISHED_TABLES, maps other columns to them.
    """
    columns = ("path", "labels")
    if fields is not None:
        columns = re.findall(r"{(\w+)}", " ".join(fields.values()))
    rows = []
    line_of = {}
    for line, row in read_table(path, columns):
        try:
            if fields is not None:
                row = {k: text.format_map(row) for k, text in fields.items()}
                row["labels"] = row["labels"].replace(",", ";")
            row = parse_row(row)
            if row["key"] in line_of:
                raise InputError(
                    f"{row['key']!r} is in line {line_of[row['key']]} as well:"
                    " use one line, with labels joined by ';'"
                )
            line_of[row["key"]] = line
            if rows and bool(rows[0]["fold"]) != bool(row["fold"]):
                raise InputError("give each clip a fold, or none of them")
        except ValueError as error:
            raise InputError(f"{path}, line {line}: {error}") from error
        rows.append(row)
    if not rows:
        raise InputError(f"{path} lists no clip")
    return rows


def parse_row(row):
    """Checks the entries of a row of clips.csv.

    Returns them with ``key``, which identifies the clip, and ``times``.
    """
    # Also knows the absolute paths and separators of other systems
    path = PureWindowsPath(row["path"])
    if path.drive or path.root or ".." in path.parts or not path.parts:
        raise InputError(
            f"the path {row['path']!r} must be relative to the data folder and"
            " within it"
        )
    path = path.as_posix()
    split = row.get("split", "").lower()
    split = {"val": "valid"}.get(split, split)  # as in FSD50K
    if split and split not in SPLIT_NAMES:
        raise InputError(
            f"the split is {split!r}, not one of {', '.join(SPLIT_NAMES)}"
        )
    fold = row.get("fold", "")
    if split and fold:
        raise InputError("a clip has a split or a fold, not both: clear one")
    key = path
    times = None
    if row.get("start") or row.get("end"):
        times = parse_times(row.get("start"), row.get("end"))
        stem, extension = os.path.splitext(path)
        key = f"{stem}_{times[0]:g}-{times[1]:g}{extension}"
    return {
        "key": key,
        "path": path,
        "labels": unique(row["labels"].split(";")),
        "split": SPLIT_NAMES.get(split, ""),
        "group": row.get("group", ""),
        "fold": fold,
        "times": times,
    }


def parse_times(start, end):
    """Start and end of a clip in seconds."""
    try:
        times = float(start or 0), float(end)
    except (TypeError, ValueError):
        times = 0.0, 0.0
    if not 0 <= times[0] < times[1] < float("inf"):
        raise InputError(
            f"start {start!r} and end {end!r} must be seconds, the end after"
            " the start: give both, or neither for the whole file"
        )
    return times


def class_folder_rows(data_folder):
    """Lists the clips in one folder per class, or per split and class."""
    folders = folders_in(data_folder)
    splits = [name for name in folders if name in SPLIT_NAMES]
    if not splits:
        return _rows_of_classes(data_folder, "", folders)
    rows = []
    for name in splits:
        classes = folders_in(os.path.join(data_folder, name))
        if len(splits) < len(folders) or not classes:
            raise InputError(
                f"{data_folder}: {', '.join(splits)} are names of splits, not"
                " of classes. Arrange the clips as train/CLASS/ and"
                f" test/CLASS/, or list them in {CLIP_LIST} with the columns"
                " path, labels and split; or rename a folder that is a class"
            )
        for row in _rows_of_classes(data_folder, name, classes):
            rows.append({**row, "split": SPLIT_NAMES[name]})
    return rows


def _rows_of_classes(data_folder, top, names):
    """Lists the clips of the class folders in ``data_folder/top``."""
    rows = []
    empty = []
    for name in names:
        labels = () if name == BACKGROUND else (name.strip(),)
        paths = [
            path
            for path in files_below(
                os.path.join(data_folder, top, name), data_folder
            )
            if path.lower().endswith(AUDIO_EXTENSIONS)
        ]
        rows += [{"key": p, "path": p, "labels": labels} for p in paths]
        if not paths:
            empty.append(name)
    if empty and rows:
        raise InputError(
            f"{data_folder}: no audio files in the class folders"
            f" {', '.join(empty)}: add some, or remove these folders"
        )
    return rows
