"""Lists custom data: clips in a table, or in one folder per class.

Their classes, ids and, unless they are given, splits depend only on the files
found.

Authors
 * The speechbrain_fftp authors 2026
"""

import logging
import os
import re
from pathlib import PureWindowsPath
from typing import NamedTuple

from speechbrain_fftp.dataio.audio import AUDIO_EXTENSIONS
from speechbrain_fftp.datasets.custom.label_tracks import list_label_tracks
from speechbrain_fftp.datasets.custom.splits import CustomClip
from speechbrain_fftp.datasets.manifests import (
    check_class_names,
    read_table,
    unique,
)
from speechbrain_fftp.datasets.names import clip_ids, files_below, folders_in

logger = logging.getLogger(__name__)

CLIP_LIST = "clips.csv"
SPLIT_WORDS = {
    "train": "train",
    "valid": "valid",
    "val": "valid",
    "eval": "eval",
    "test": "eval",
}
# How the columns of published tables make up the fields of a CustomClip
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
    f"A data folder has either {CLIP_LIST} with the columns path and labels"
    " (joined by ';') and, optionally, split or fold, group, and start and end"
    " in seconds; or recordings with label tracks of Audacity (rec.wav and"
    " rec.txt); or one folder"
    f" per class with clips in it ({', '.join(AUDIO_EXTENSIONS)}) and, for clips"
    " of no class, a folder background; or train,"
    " valid and test with one folder per class each; or ESC-50, UrbanSound8K or"
    " FSD50K with their tables; or AudioSet's lists and audio, or parquet"
    " shards such as data/bal_train/00.parquet and data/eval/00.parquet."
)
# Folders with these names hold clips of no class, whatever their case
BACKGROUND_FOLDERS = ("background", "noise", "silence", "other")
# Folders with these names are splits, whatever their case and separators
SPLIT_FOLDERS = {
    "train": "train training baltrain balancedtrain unbaltrain unbalancedtrain",
    "dev": "dev development",  # to train on, or beside train to validate on
    "valid": "val valid validation",
    "eval": "eval evaluation test testing",
}


class CustomData(NamedTuple):
    """Custom data."""

    folder: str
    classes: dict  # sorted, from name to name: the name is the identifier
    clips: list
    ids: dict  # from the key of each clip
    files: dict  # from each id
    tables: list  # the files that list the clips, if any


def find_custom_data(data_folder, min_classes=2):
    """Lists the clips of a data folder; None if it holds none.

    One class is enough if there are clips of none. Without ``min_classes``
    classes, or one and clips of none, it is a ValueError.
    """
    data_folder = os.path.abspath(data_folder)
    if not os.path.isdir(data_folder):
        return None
    clips, tables = _list_clips(data_folder)
    if not clips:
        return None
    names = sorted({label for clip in clips for label in clip.labels})
    origin = tables[0] if tables else data_folder
    check_class_names(names, origin)
    n_negatives = sum(not clip.labels for clip in clips)
    if len(names) < (min_classes if n_negatives == 0 else 1):
        raise ValueError(
            f"{origin}: at least two classes are needed, or one and clips of"
            f" none, found {', '.join(names) or 'none'}. {LAYOUTS}"
        )
    if n_negatives > 0:
        logger.info("%s: %d clips have no class", origin, n_negatives)
    ids = clip_ids([clip.key for clip in clips])
    return CustomData(
        folder=data_folder,
        classes=dict(zip(names, names)),
        clips=clips,
        ids=ids,
        files={
            ids[clip.key]: os.path.join(data_folder, clip.path)
            for clip in clips
        },
        tables=tables,
    )


def _list_clips(data_folder):
    """Lists the clips, and the tables that they are read from."""
    path = os.path.join(data_folder, CLIP_LIST)
    if os.path.isfile(path):
        return read_clip_list(path), [path]
    clips = []
    tables = []
    for name, fields in PUBLISHED_TABLES.items():
        path = os.path.join(data_folder, name)
        if os.path.isfile(path):
            tables.append(path)
            clips += read_clip_list(path, fields)
    if not clips:
        clips, tables = list_label_tracks(data_folder, BACKGROUND_FOLDERS)
    return clips or list_class_folders(data_folder), tables


def read_clip_list(path, fields=None):
    """Reads a table of clips with the columns of ``LAYOUTS``.

    ``fields``, one of PUBLISHED_TABLES, makes them of other columns.
    """
    columns = ("path", "labels")
    if fields is not None:
        columns = re.findall(r"{(\w+)}", " ".join(fields.values()))
    clips = []
    line_of = {}
    first_of = {}
    for line, row in read_table(path, columns):
        try:
            if fields is not None:
                row = {k: text.format_map(row) for k, text in fields.items()}
                row["labels"] = row["labels"].replace(",", ";")
            clip = _parse_row(row)
            if clip != first_of.setdefault(clip.key, clip):
                raise ValueError(
                    f"{clip.key!r} is in line {line_of[clip.key]} as well,"
                    " with other entries: use one line, with labels joined by"
                    " ';'"
                )
            line_of.setdefault(clip.key, line)
            if clips and bool(clips[0].fold) != bool(clip.fold):
                raise ValueError("give each clip a fold, or none of them")
        except ValueError as error:
            raise ValueError(f"{path}, line {line}: {error}")
        clips.append(clip)
    if not clips:
        raise ValueError(f"{path} lists no clip")
    return clips


def _parse_row(row):
    """Turns the entries of a row into a CustomClip."""
    if not row["path"]:
        raise ValueError("the path is empty")
    # It knows the absolute paths and separators of other systems as well
    path = PureWindowsPath(row["path"])
    if path.drive or path.root or ".." in path.parts or not path.parts:
        raise ValueError(
            f"the path {row['path']!r} must be relative to the data folder and"
            " within it"
        )
    split = row.get("split", "").lower()
    fold = row.get("fold", "")
    if split and split not in SPLIT_WORDS:
        raise ValueError(
            f"the split is {split!r}, not one of {', '.join(SPLIT_WORDS)}"
        )
    if split and fold:
        raise ValueError("a clip has a split or a fold: empty one of them")
    start, end = _parse_times(row.get("start", ""), row.get("end", ""))
    return CustomClip(
        path=path.as_posix(),
        labels=unique(row["labels"].split(";")),
        split=SPLIT_WORDS.get(split, ""),
        group=row.get("group", ""),
        fold=fold,
        start=start,
        end=end,
    )


def _parse_times(start, end):
    """Start and end in seconds; both are 0.0 for a whole file."""
    if not start and not end:
        return 0.0, 0.0
    try:
        times = float(start or 0), float(end)
    except ValueError:
        times = 0.0, 0.0
    if not 0 <= times[0] < times[1] < float("inf"):
        raise ValueError(
            f"start {start!r} and end {end!r} must be seconds, the end after"
            " the start: give both, or none for the whole file"
        )
    return times


def list_class_folders(data_folder):
    """Lists the clips of a folder with one folder per class, sorted by path.

    They may lie in folders of splits, such as train/dog and test/dog. Hidden
    folders and files are skipped, and links to folders within a class.
    """
    splits = {name: _split_of(name) for name in folders_in(data_folder)}
    named = [name for name in splits if splits[name]]
    if not named:
        return _list_classes(data_folder)
    for name in splits:
        folder = os.path.join(data_folder, name)
        has_clips = any(
            file.lower().endswith(AUDIO_EXTENSIONS) and file[0] != "."
            for file in os.listdir(folder)
        )
        if has_clips or not splits[name]:
            raise ValueError(
                f"{data_folder}: {', '.join(map(repr, named))} are names of"
                " splits, not of classes. Arrange the clips as train/CLASS/ and"
                " test/CLASS/, or list them in clips.csv with the columns path,"
                " labels and split; or rename a folder that is a class"
            )
    dev = "valid" if "train" in splits.values() else "train"
    clips = []
    for name, split in splits.items():
        split = dev if split == "dev" else split
        clips += _list_classes(data_folder, name, split)
    trained = {clip.labels for clip in clips if clip.split == "train"}
    for clip in clips:
        if trained and clip.labels and clip.labels not in trained:
            raise ValueError(
                f"{data_folder}: the class folder of {clip.path} is not among"
                " those of the train split: add it there, or correct its name"
            )
    return sorted(clips)


def _split_of(folder):
    """The split that a folder is named after, or None."""
    name = "".join(filter(str.isalnum, folder.casefold()))
    name = name.removesuffix("segments")
    found = (s for s, names in SPLIT_FOLDERS.items() if name in names.split())
    return next(found, None)


def _list_classes(data_folder, top="", split=""):
    """Lists the clips of the folders of classes in ``data_folder/top``."""
    found, place = {}, os.path.join(data_folder, top)
    for name in folders_in(place):
        found[os.path.join(top, name)] = clips = []
        labels = (name.strip(),)
        if name.strip().casefold() in BACKGROUND_FOLDERS:
            labels = ()
        for path in files_below(os.path.join(place, name), data_folder):
            if path.lower().endswith(AUDIO_EXTENSIONS):
                clips.append(CustomClip(path, labels, split))
    empty = [repr(name) for name, clips in found.items() if not clips]
    if empty and (top or len(empty) < len(found)):
        raise ValueError(
            f"{data_folder}: no clip ({', '.join(AUDIO_EXTENSIONS)}) in the"
            f" class folders {', '.join(empty)}: add some, or remove these"
        )
    return sorted(clip for clips in found.values() for clip in clips)
