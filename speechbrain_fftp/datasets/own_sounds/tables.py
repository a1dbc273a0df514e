"""Reads tables of custom clips: clips.csv, ESC-50, UrbanSound8K and FSD50K.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import re
from pathlib import PureWindowsPath

from speechbrain_fftp.datasets.audioset.layouts import AUDIOSET_SPLITS
from speechbrain_fftp.datasets.audioset.lists import read_table
from speechbrain_fftp.datasets.own_sounds.splits import OwnClip

CLIP_LIST = "clips.csv"
SPLIT_WORDS = {**{split: split for split in AUDIOSET_SPLITS}, "test": "eval"}
SPLIT_WORDS["val"] = "valid"
# The entries of clips.csv in terms of the columns of published tables
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


def read_tables(data_folder):
    """Lists the clips of clips.csv, or else of published tables.

    Returns a list of OwnClip, empty without a table, and the tables' paths.
    """
    names = {os.path.join(data_folder, t): t for t in PUBLISHED_TABLES}
    tables = [os.path.join(data_folder, CLIP_LIST)]
    if not os.path.isfile(tables[0]):
        tables = list(filter(os.path.isfile, names))
    entries = [(path, PUBLISHED_TABLES.get(names.get(path))) for path in tables]
    return [c for entry in entries for c in read_clip_list(*entry)], tables


def read_clip_list(path, columns=None):
    """Reads a table of clips; returns a list of OwnClip.

    Its columns are ``path`` (relative to the data folder), ``labels`` (joined
    by ``;``) and optionally ``split`` (train, valid, eval or test) or ``fold``,
    and ``group``, which may be empty; or ``columns``, an item of
    PUBLISHED_TABLES, makes them of others. Errors name the file and the line.
    """
    clips, seen = [], {}
    needed = re.findall(r"\{(\w+)\}", str(columns)) or ("path", "labels")
    for line, row in read_table(path, needed):
        try:
            if columns:
                row = {
                    key: text.format_map(row) for key, text in columns.items()
                }
                row["labels"] = row["labels"].replace(",", ";")
            clip = _parse_row(row)
            first_line, first = seen.setdefault(clip.path, (line, clip))
            if clip != first:
                raise ValueError(
                    f"{clip.path!r} is in line {first_line} as well, with other"
                    " entries: use one line, with labels joined by ';'"
                )
            if clips and bool(clips[0].fold) != bool(clip.fold):
                raise ValueError("give each clip a fold, or none of them")
        except ValueError as error:
            raise ValueError(f"{path}, line {line}: {error}")
        clips.append(clip)
    if not clips:
        raise ValueError(f"{path} lists no clip")
    return clips


def _parse_row(row):
    """Turns the entries of a clip into an OwnClip; errors say what to change."""
    if not row["path"]:
        raise ValueError("the path is empty")
    # It knows the absolute paths and separators of other systems as well
    path = PureWindowsPath(row["path"])
    if path.drive or path.root or ".." in path.parts or not path.parts:
        raise ValueError(
            f"the path {row['path']!r} must be relative to the data folder and"
            " within it"
        )
    split, fold = row.get("split", "").lower(), row.get("fold", "")
    if split and split not in SPLIT_WORDS:
        raise ValueError(
            f"the split is {split!r}, not one of {', '.join(SPLIT_WORDS)}"
        )
    if split and fold:
        raise ValueError("a clip has a split or a fold: empty one of them")
    labels = (label.strip() for label in row["labels"].split(";"))
    return OwnClip(
        path.as_posix(),
        tuple(dict.fromkeys(filter(None, labels))),
        SPLIT_WORDS.get(split, ""),
        row.get("group", ""),
        fold,
    )
