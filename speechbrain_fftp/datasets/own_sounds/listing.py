"""Finds custom data: clips in a table, or in one folder per class.

Classes, ids and, unless they are given, splits depend only on the files found.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import re
import unicodedata
from collections import Counter
from typing import NamedTuple

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.audio import AUDIO_EXTENSIONS
from speechbrain_fftp.dataio.files import clip_ids
from speechbrain_fftp.datasets.audioset.layouts import (
    AUDIOSET_SPLITS,
    CLASS_LIST,
    SEGMENT_LISTS,
    UNBALANCED_LIST,
)
from speechbrain_fftp.datasets.audioset.lists import (
    CLIP_SECONDS,
    Segment,
    check_class_names,
)
from speechbrain_fftp.datasets.audioset.parquet import find_parquet_shards
from speechbrain_fftp.datasets.own_sounds.copies import find_copies
from speechbrain_fftp.datasets.own_sounds.folders import list_class_folders
from speechbrain_fftp.datasets.own_sounds.splits import assign_splits
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


class OwnSounds(NamedTuple):
    """Custom data: classes, clips, and the id of each path.

    The classes are a sorted dict from name to name: the name is the identifier.
    ``tables`` are the files that list the clips, if any.
    """

    folder: str
    classes: dict
    clips: list
    ids: dict
    tables: list

    @property
    def origin(self):
        """Where the clips are listed, for messages."""
        return self.tables[0] if self.tables else self.folder

    @property
    def files(self):
        """The file of each id."""
        return {i: os.path.join(self.folder, p) for p, i in self.ids.items()}


def find_own_sounds(data_folder):
    """Lists the clips of a data folder in one of the layouts of custom data.

    These are ``clips.csv``, the tables of a published set or, without any, one
    folder per class. Returns OwnSounds, or None if the folder is missing, has
    no clips, or has one of AudioSet's lists or parquet shards. Errors say what
    to change.
    """
    data_folder = str(data_folder)
    if not os.path.isdir(data_folder) or _is_audioset(data_folder):
        return None
    clips, tables = read_tables(data_folder)
    clips = clips or list_class_folders(data_folder)
    if not clips:
        return None
    classes = {name: name for name in sorted(set(_labels(clips)))}
    ids = clip_ids([clip.path for clip in clips])
    own = OwnSounds(data_folder, classes, clips, ids, tables)
    check_class_names(classes, own.origin)
    if len(classes) < 2:
        raise ValueError(
            f"{own.origin}: at least two classes are needed, found"
            f" {', '.join(classes) or 'none'}. {LAYOUTS}"
        )
    return own


def split_own_sounds(own):
    """Assigns custom clips to splits, copies of a file to the same one.

    Returns the Segments of each split and the copies, dicts with ids and
    splits. Copies and classes that need a look are logged.
    """
    copies = find_copies(own.folder, own.ids)
    splits = assign_splits(own.clips, copies)
    missing = [split for split in AUDIOSET_SPLITS if split not in splits]
    if missing:
        raise ValueError(
            f"{own.origin}: too few clips for the splits {', '.join(missing)}."
            " At least one class needs three clips (of three groups)."
        )
    listed = {split: [] for split in AUDIOSET_SPLITS}
    for clip, split in zip(own.clips, splits):
        segment = Segment(own.ids[clip.path], 0.0, CLIP_SECONDS, clip.labels)
        listed[split].append(segment)
    _warn_of_classes(own, splits)
    split_of = {clip.path: split for clip, split in zip(own.clips, splits)}
    report = [
        {
            "ids": [own.ids[path] for path in paths],
            "splits": [split_of[path] for path in paths],
        }
        for paths in copies
    ]
    leaks = [
        " = ".join(f"{path} ({split_of[path]})" for path in paths)
        for paths, same in zip(copies, report)
        if len(set(same["splits"])) > 1
    ]
    if copies:
        number = sum(map(len, copies)) - len(copies)
        logger.info("%s: %d clips are copies of others", own.origin, number)
    if leaks:
        logger.warning(
            "%s: identical clips are in different splits: %s. Scores will be too"
            " high: remove copies, or give them the same split",
            own.origin,
            _shorten(leaks),
        )
    return listed, report


def _labels(clips):
    """All labels of clips, repeated."""
    return [label for clip in clips for label in clip.labels]


def _shorten(names):
    """Joins the first ten names."""
    more = [f"... ({len(names)} in all)"] * (len(names) > 10)
    return "; ".join([*names[:10], *more])


def _warn_of_classes(own, splits):
    """Warns of classes without clips to train or to score, and similar names."""
    count, similar = Counter(_labels(own.clips)), {}
    for split, use in (("train", "train on"), ("eval", "score")):
        clips = [c for c, s in zip(own.clips, splits) if s == split]
        lost = sorted(set(own.classes) - set(_labels(clips)))
        if lost:
            logger.warning(
                "%s: classes without clips to %s: %s. Add clips (three of a"
                " class are enough for all splits), or remove the class",
                own.origin,
                use,
                _shorten([f"{name!r} (of {count[name]})" for name in lost]),
            )
    for name in own.classes:
        key = unicodedata.normalize("NFKC", name).casefold()
        similar.setdefault(re.sub(r"[\s_-]", "", key), []).append(name)
    alike = [" / ".join(map(repr, n)) for n in similar.values() if len(n) > 1]
    if alike:
        logger.warning(
            "%s: classes with nearly the same name: %s. If they are the same,"
            " give them one name",
            own.origin,
            _shorten(alike),
        )


def _is_audioset(data_folder):
    """Whether the folder has any of AudioSet's lists or parquet shards."""
    names = (CLASS_LIST, UNBALANCED_LIST, *SEGMENT_LISTS.values())
    paths = (os.path.join(data_folder, name) for name in names)
    shards = find_parquet_shards(data_folder)
    return any(map(os.path.exists, paths)) or any(shards.values())
