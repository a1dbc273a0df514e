"""Reads tables of custom clips: clips.csv, ESC-50, UrbanSound8K and FSD50K.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
from pathlib import PureWindowsPath

from speechbrain_fftp.datasets.audioset.layouts import AUDIOSET_SPLITS
from speechbrain_fftp.datasets.audioset.lists import read_table
from speechbrain_fftp.datasets.own_sounds.splits import OwnClip

CLIP_LIST = "clips.csv"
SPLIT_WORDS = {**{split: split for split in AUDIOSET_SPLITS}, "test": "eval"}


def read_clip_list(path):
    """Reads a table of clips; returns a list of OwnClip.

    Its columns are ``path`` (relative to the folder of the table), ``labels``
    (joined by ``;``) and optionally ``split`` (train, valid, eval or test),
    ``group`` and ``fold``, which may be empty. Errors name the file and the
    line.
    """
    clips, seen = [], {}
    for line, row in read_table(path, ("path", "labels")):
        try:
            clip = _parse_row(row)
            earlier_line, earlier = seen.setdefault(clip.path, (line, clip))
            if clip != earlier:
                raise ValueError(
                    f"{clip.path!r} is in line {earlier_line} as well, with"
                    " other entries: use one line, with labels joined by ';'"
                )
            if bool(clip.fold) != bool((clips or [clip])[0].fold):
                raise ValueError(
                    "some clips have a fold and others have none: give each"
                    " clip a fold, or none of them"
                )
        except ValueError as error:
            raise ValueError(f"{path}, line {line}: {error}")
        clips.append(clip)
    if not clips:
        raise ValueError(f"{path} lists no clip")
    return clips


def _parse_row(row):
    """Turns a row of clips.csv into a clip; errors say what to change."""
    split, fold = row.get("split", "").lower(), row.get("fold", "")
    if split and split not in SPLIT_WORDS:
        raise ValueError(
            f"the split is {split!r}, not one of {', '.join(SPLIT_WORDS)}"
        )
    if split and fold:
        raise ValueError("a clip has a split or a fold: empty one of them")
    labels = (label.strip() for label in row["labels"].split(";"))
    return OwnClip(
        _relative_path(row["path"]),
        tuple(dict.fromkeys(filter(None, labels))),
        SPLIT_WORDS.get(split, ""),
        row.get("group", ""),
        fold,
    )


def _relative_path(entry):
    """Checks a path of a table, which must stay within the folder."""
    if not entry:
        raise ValueError("the path is empty")
    # It knows the absolute paths and separators of other systems as well
    path = PureWindowsPath(entry)
    if path.drive or path.root or ".." in path.parts or not path.parts:
        raise ValueError(
            f"the path {entry!r} must be relative to the folder of this table"
            " and within it"
        )
    return path.as_posix()


def _reader(columns, make_clip):
    """Returns a function that reads a published table with ``make_clip``."""

    def read(path):
        """Reads the table; errors name the file and the line."""
        for line, row in read_table(path, columns):
            try:
                for column in columns:
                    if not row[column]:
                        raise ValueError(f"{column!r} is empty")
                clip = make_clip(row)
                yield clip._replace(path=_relative_path(clip.path))
            except ValueError as error:
                raise ValueError(f"{path}, line {line}: {error}")

    return read


def _esc50_clip(row):
    """A clip of ESC-50; those of one recording are a group."""
    path, label = f"audio/{row['filename']}", row["category"]
    return OwnClip(path, (label,), "", row["src_file"], row["fold"])


def _urbansound8k_clip(row):
    """A clip of UrbanSound8K; those of one recording are a group."""
    path = f"audio/fold{row['fold']}/{row['slice_file_name']}"
    return OwnClip(path, (row["class"],), "", row["fsID"], row["fold"])


def _fsd50k_dev_clip(row):
    """A clip of FSD50K's development set."""
    split = {"train": "train", "val": "valid"}.get(row["split"])
    if split is None:
        raise ValueError(f"the split is {row['split']!r}, not train or val")
    path = f"FSD50K.dev_audio/{row['fname']}.wav"
    return OwnClip(path, _fsd50k_labels(row), split)


def _fsd50k_eval_clip(row):
    """A clip of FSD50K's evaluation set."""
    path = f"FSD50K.eval_audio/{row['fname']}.wav"
    return OwnClip(path, _fsd50k_labels(row), "eval")


def _fsd50k_labels(row):
    """The labels of a clip of FSD50K."""
    return tuple(dict.fromkeys(filter(None, row["labels"].split(","))))


# The tables of each set, and how they are read; the first set found counts
SETS = (
    {CLIP_LIST: read_clip_list},
    {
        "meta/esc50.csv": _reader(
            ("filename", "fold", "category", "src_file"), _esc50_clip
        )
    },
    {
        "metadata/UrbanSound8K.csv": _reader(
            ("slice_file_name", "fsID", "fold", "class"), _urbansound8k_clip
        )
    },
    {
        "FSD50K.ground_truth/dev.csv": _reader(
            ("fname", "labels", "split"), _fsd50k_dev_clip
        ),
        "FSD50K.ground_truth/eval.csv": _reader(
            ("fname", "labels"), _fsd50k_eval_clip
        ),
    },
)


def read_tables(data_folder):
    """Lists the clips of clips.csv, or else of a published set's tables.

    Returns a list of OwnClip, empty without a table, and the tables' paths.
    """
    for readers in SETS:
        found = {os.path.join(data_folder, t): r for t, r in readers.items()}
        if os.path.isfile(next(iter(found))):
            clips = [clip for path in found for clip in found[path](path)]
            return clips, list(found)
    return [], []
