"""Opens data folders: custom data, or AudioSet.

Custom data are clips in a table, or in one folder per class. Their classes, ids
and, unless they are given, splits depend only on the files found.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import re
import unicodedata
from typing import NamedTuple

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.audio import AUDIO_EXTENSIONS
from speechbrain_fftp.datasets.audioset.layouts import (
    AUDIOSET_SPLITS,
    CLASS_LIST,
    SEGMENT_LISTS,
    Data,
    is_audioset,
    open_audioset,
)
from speechbrain_fftp.datasets.audioset.lists import Segment, check_class_names
from speechbrain_fftp.datasets.batches import count_labels
from speechbrain_fftp.datasets.names import as_utf8, clip_ids, files_below
from speechbrain_fftp.datasets.own_sounds.copies import find_copies
from speechbrain_fftp.datasets.own_sounds.splits import (
    OwnClip,
    assign_splits,
    choose_fold,
)
from speechbrain_fftp.datasets.own_sounds.tables import CLIP_LIST, read_tables

logger = get_logger(__name__)

LAYOUTS = (
    f"A data folder has either {CLIP_LIST} with the columns path and labels"
    " (joined by ';') and, optionally, split or fold, and group; or one folder"
    f" per class with clips in it ({', '.join(AUDIO_EXTENSIONS)}), or train,"
    " valid and test with one folder per class each; or ESC-50, UrbanSound8K or"
    f" FSD50K with their tables; or AudioSet's {CLASS_LIST} with"
    f" {SEGMENT_LISTS['train']}, {SEGMENT_LISTS['eval']} and audio/; or that"
    " list with parquet shards, such as data/bal_train/00.parquet and"
    " data/eval/00.parquet."
)
# Folders with these names are splits, whatever their case and separators
SPLIT_NAMES = {
    "train": "train training baltrain balancedtrain unbaltrain unbalancedtrain",
    "dev": "dev development",  # to train on, or beside train to validate on
    "valid": "val valid validation",
    "eval": "eval evaluation test testing",
}


class OwnSounds(NamedTuple):
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
    own = find_own_sounds(data_folder)
    if own is None:
        if test_fold is not None:
            raise ValueError("test_fold is for custom data with folds only")
        cut = settings.get("cut_segments") != "no"
        return open_audioset(data_folder, unbalanced, cut, LAYOUTS)
    if unbalanced:
        raise ValueError("unbalanced is for AudioSet only")
    clips = choose_fold(own.clips, test_fold, data_folder)
    own, notes = own._replace(clips=clips), {}

    def list_clips():
        """Assigns the clips to splits, and notes those that are identical."""
        listed, notes["identical_clips"] = split_own_sounds(own)
        return listed

    files = [*own.files.values(), *own.tables]
    audio = dict.fromkeys(AUDIOSET_SPLITS, own.files)
    return Data(own.classes, list_clips, audio, files, notes=notes)


def find_own_sounds(data_folder):
    """Lists the clips of a data folder in one of the layouts of custom data.

    These are ``clips.csv``, the tables of a published set or, without any, one
    folder per class. Returns OwnSounds, or None if the folder is missing, has
    no clips, or is AudioSet's. Errors say what to change.
    """
    data_folder = str(data_folder)
    if not os.path.isdir(data_folder) or is_audioset(data_folder):
        return None
    clips, tables = read_tables(data_folder)
    clips = clips or list_class_folders(data_folder)
    if not clips:
        return None
    classes = {
        name: name
        for name in sorted(count_labels(clip.labels for clip in clips))
    }
    origin = tables[0] if tables else data_folder
    check_class_names(classes, origin)
    if len(classes) < 2:
        raise ValueError(
            f"{origin}: at least two classes are needed, found"
            f" {', '.join(classes) or 'none'}. {LAYOUTS}"
        )
    ids = clip_ids([clip.path for clip in clips])
    files = {i: os.path.join(data_folder, path) for path, i in ids.items()}
    return OwnSounds(data_folder, classes, clips, ids, files, tables)


def list_class_folders(data_folder):
    """Lists the clips of a folder with one folder per class, sorted by path.

    The folders of the classes may lie in folders of splits, such as train/dog
    and test/dog, and hold other folders. Names that begin with a dot are
    skipped, and links to folders within a class.
    """
    splits = {name: _split_of(name) for name in _folders(data_folder)}
    named = [name for name in splits if splits[name]]
    if not named:
        return _list_classes(data_folder)
    for name in splits:
        folder = os.path.join(data_folder, name)
        has_clips = any(
            file.lower().endswith(AUDIO_EXTENSIONS) and file[0] != "."
            for file in os.listdir(folder)
        )
        if not (splits[name] and _folders(folder)) or has_clips:
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
                " those to train on: add it there, or correct its name"
            )
    return sorted(clips)


def _split_of(folder):
    """The split that a folder is named after, or None."""
    name = "".join(filter(str.isalnum, folder.casefold()))
    name = name.removesuffix("segments")
    found = (s for s, names in SPLIT_NAMES.items() if name in names.split())
    return next(found, None)


def _folders(folder):
    """Names of the folders in a folder, sorted; no hidden ones."""
    with os.scandir(folder) as entries:
        found = [e.name for e in entries if e.is_dir() and e.name[0] != "."]
    return sorted(found)


def _list_classes(data_folder, top="", split=""):
    """Lists the clips of the folders of classes in ``data_folder/top``."""
    found, place = {}, os.path.join(data_folder, top)
    for name in _folders(place):
        found[os.path.join(top, name)] = clips = []
        for path in files_below(os.path.join(place, name), data_folder):
            if path.lower().endswith(AUDIO_EXTENSIONS):
                clips.append(OwnClip(path, (name.strip(),), split))
    empty = [repr(name) for name, clips in found.items() if not clips]
    if empty and (top or len(empty) < len(found)):
        raise ValueError(
            f"{data_folder}: no clip ({', '.join(AUDIO_EXTENSIONS)}) in the"
            f" class folders {', '.join(empty)}: add some, or remove these"
        )
    return sorted(clip for clips in found.values() for clip in clips)


def split_own_sounds(own):
    """Assigns custom clips to splits, identical ones to the same one.

    Returns the Segments of each split and a report of identical clips. Leaks
    and doubtful classes are logged.
    """
    copies = find_copies(own.folder, own.ids)
    splits = assign_splits(own.clips, copies)
    missing = [split for split in AUDIOSET_SPLITS if split not in splits]
    if missing:
        raise ValueError(
            f"{own.folder}: too few clips for the splits {', '.join(missing)}."
            " At least one class needs three clips (of three groups)."
        )
    listed, split_of = {split: [] for split in AUDIOSET_SPLITS}, {}
    for clip, split in zip(own.clips, splits):
        listed[split].append(Segment(own.ids[clip.path], mids=clip.labels))
        split_of[clip.path] = split
    report, leaks = [], []
    for paths in copies:
        report.append({"paths": paths, "splits": [split_of[p] for p in paths]})
        if len(set(report[-1]["splits"])) > 1:
            names = (f"{as_utf8(path)} ({split_of[path]})" for path in paths)
            leaks.append(" = ".join(names))
    number = sum(map(len, copies)) - len(copies)
    logger.info("%s: %d clips are copies of others", own.folder, number)
    _warn_of_doubts(own, split_of, leaks)
    return listed, report


def _warn_of_doubts(own, split_of, leaks):
    """Warns of leaks, of classes without clips, and of similar names."""
    count, alike = count_labels(clip.labels for clip in own.clips), {}

    def lost(split):
        """Classes without clips in a split."""
        clips = (clip for clip in own.clips if split_of[clip.path] == split)
        there = count_labels(clip.labels for clip in clips)
        names = (name for name in own.classes if not there[name])
        return [f"{name!r} (of {count[name]})" for name in names]

    for name in own.classes:
        key = unicodedata.normalize("NFKC", name).casefold()
        alike.setdefault(re.sub(r"[\s_-]", "", key), []).append(name)
    alike = [" / ".join(map(repr, n)) for n in alike.values() if len(n) > 1]
    more = "add clips, at least three of a class, or remove the class"
    for found, doubt, remedy in (
        (leaks, "identical clips in different splits", "remove the copies"),
        (lost("train"), "classes without clips to train on", more),
        (lost("eval"), "classes without clips to score", more),
        (alike, "classes with similar names", "if they are one, use one name"),
    ):
        if found:
            names = "; ".join([*found[:10], *["..."] * (len(found) > 10)])
            text = "%s: %s: %s. Remedy: %s"
            logger.warning(text, own.folder, doubt, names, remedy)
