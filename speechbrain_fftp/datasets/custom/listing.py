"""Opens data folders: custom data, or AudioSet.

Custom data are clips in a table, or in one folder per class. Their classes, ids
and, unless they are given, splits depend only on the files found.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import re
from pathlib import PureWindowsPath
from typing import NamedTuple

from speechbrain_fftp.dataio.audio import AUDIO_EXTENSIONS
from speechbrain_fftp.datasets.audioset import layouts
from speechbrain_fftp.datasets.audioset.lists import (
    CLASS_LIST,
    check_class_names,
    read_table,
    unique_mids,
)
from speechbrain_fftp.datasets.custom.splits import (
    CustomClip,
    choose_fold,
    split_custom_data,
)
from speechbrain_fftp.datasets.names import clip_ids, files_below, folders_in

CLIP_LIST = "clips.csv"
SPLIT_WORDS = {"train": "train", "valid": "valid", "eval": "eval"}
SPLIT_WORDS.update(test="eval", val="valid")
# What an CustomClip is made of in published tables: path, labels, split, group and
# fold, in terms of their columns
URBANSOUND = "audio/fold{fold}/{slice_file_name} | {class} |  | {fsID} | {fold}"
FSD50K = "FSD50K.{}_audio/{{fname}}.wav | {{labels}} | {}"
PUBLISHED_TABLES = {
    "meta/esc50.csv": "audio/{filename} | {category} |  | {src_file} | {fold}",
    "metadata/UrbanSound8K.csv": URBANSOUND,
    "FSD50K.ground_truth/dev.csv": FSD50K.format("dev", "{split}"),
    "FSD50K.ground_truth/eval.csv": FSD50K.format("eval", "eval"),
}
LAYOUTS = (
    f"A data folder has either {CLIP_LIST} with the columns path and labels"
    " (joined by ';') and, optionally, split or fold, and group; or one folder"
    f" per class with clips in it ({', '.join(AUDIO_EXTENSIONS)}), or train,"
    " valid and test with one folder per class each; or ESC-50, UrbanSound8K or"
    f" FSD50K with their tables; or AudioSet's {CLASS_LIST} with"
    f" {layouts.SEGMENT_LISTS['train']}, {layouts.SEGMENT_LISTS['eval']}"
    " and audio/; or that list with parquet shards, such as"
    " data/bal_train/00.parquet and data/eval/00.parquet."
)
# Folders with these names are splits, whatever their case and separators
SPLIT_NAMES = {
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
    ids: dict  # of each path
    files: dict  # of each id
    tables: list  # the files that list the clips, if any


def open_data(settings):
    """Finds classes, clips and audio; returns Data. Errors say what is missing.

    The settings are those of a prepared folder: ``data_folder``, ``unbalanced``
    and, if they are not the default, ``test_fold`` and ``cut_segments``.
    """
    data_folder, unbalanced = settings["data_folder"], settings["unbalanced"]
    test_fold = settings.get("test_fold")
    own = find_custom_data(data_folder)
    if own is None:
        if test_fold is not None:
            raise ValueError("test_fold is for custom data with folds only")
        cut = settings.get("cut_segments") != "no"
        return layouts.open_audioset(data_folder, unbalanced, cut, LAYOUTS)
    if unbalanced:
        raise ValueError("unbalanced is for AudioSet only")
    clips = choose_fold(own.clips, test_fold, data_folder)
    own, notes = own._replace(clips=clips), {}

    def list_clips():
        listed, notes["identical_clips"] = split_custom_data(own)
        return listed

    files = [*own.files.values(), *own.tables]
    audio = dict.fromkeys(layouts.AUDIOSET_SPLITS, own.files)
    return layouts.Data(own.classes, list_clips, audio, files, notes=notes)


def find_custom_data(data_folder):
    """Lists custom data; None without any, or if the folder is AudioSet's."""
    data_folder = str(data_folder)
    if not os.path.isdir(data_folder) or layouts.is_audioset(data_folder):
        return None
    templates = {CLIP_LIST: "", **PUBLISHED_TABLES}
    found = {os.path.join(data_folder, n): t for n, t in templates.items()}
    tables = list(filter(os.path.isfile, found))
    if tables and not found[tables[0]]:  # clips.csv
        tables = tables[:1]
    clips = [clip for t in tables for clip in read_clip_list(t, found[t])]
    clips = clips or list_class_folders(data_folder)
    if not clips:
        return None
    names = sorted({label for clip in clips for label in clip.labels})
    classes = dict(zip(names, names))
    origin = tables[0] if tables else data_folder
    check_class_names(classes, origin)
    if len(classes) < 2:
        raise ValueError(
            f"{origin}: at least two classes are needed, found"
            f" {', '.join(classes) or 'none'}. {LAYOUTS}"
        )
    ids = clip_ids([clip.path for clip in clips])
    files = {i: os.path.join(data_folder, path) for path, i in ids.items()}
    return CustomData(data_folder, classes, clips, ids, files, tables)


def read_clip_list(path, template=""):
    """Reads a table of clips with the columns of ``LAYOUTS``.

    ``template``, one of PUBLISHED_TABLES, makes them of others.
    """
    clips, seen = [], {}
    needed = re.findall(r"{(\w+)}", template) or ("path", "labels")
    for line, row in read_table(path, needed):
        try:
            if template:
                entries = [e.format_map(row) for e in template.split(" | ")]
                row = dict(zip(CustomClip._fields, entries))
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
    """Turns the entries of a clip into an CustomClip."""
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
        words = ", ".join(SPLIT_WORDS)
        raise ValueError(f"the split is {split!r}, not one of {words}")
    if split and fold:
        raise ValueError("a clip has a split or a fold: empty one of them")
    labels = unique_mids(row["labels"].split(";"))
    split, group = SPLIT_WORDS.get(split, ""), row.get("group", "")
    return CustomClip(path.as_posix(), labels, split, group, fold)


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
        if not (splits[name] and folders_in(folder)) or has_clips:
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
        if trained and clip.labels not in trained:
            raise ValueError(
                f"{data_folder}: the class folder of {clip.path} is not among"
                " those of the train split: add it there, or correct its name"
            )
    return sorted(clips)


def _split_of(folder):
    """The split that a folder is named after, or None."""
    name = "".join(filter(str.isalnum, folder.casefold()))
    name = name.removesuffix("segments")
    found = (s for s, names in SPLIT_NAMES.items() if name in names.split())
    return next(found, None)


def _list_classes(data_folder, top="", split=""):
    """Lists the clips of the folders of classes in ``data_folder/top``."""
    found, place = {}, os.path.join(data_folder, top)
    for name in folders_in(place):
        found[os.path.join(top, name)] = clips = []
        for path in files_below(os.path.join(place, name), data_folder):
            if path.lower().endswith(AUDIO_EXTENSIONS):
                clips.append(CustomClip(path, (name.strip(),), split))
    empty = [repr(name) for name, clips in found.items() if not clips]
    if empty and (top or len(empty) < len(found)):
        raise ValueError(
            f"{data_folder}: no clip ({', '.join(AUDIO_EXTENSIONS)}) in the"
            f" class folders {', '.join(empty)}: add some, or remove these"
        )
    return sorted(clip for clips in found.values() for clip in clips)
