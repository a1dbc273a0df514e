"""AudioSet's layouts on disk: where its lists, labels and audio files are.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import os
import re
from collections import Counter
from typing import Callable, NamedTuple

from speechbrain_fftp.dataio.audio import AUDIO_EXTENSIONS
from speechbrain_fftp.dataio.files import hash_fraction
from speechbrain_fftp.datasets.audioset.lists import read_segments
from speechbrain_fftp.datasets.audioset.parquet import (
    find_parquet_shards,
    iter_parquet_audio,
    read_parquet_segments,
)

SEGMENT_LISTS = {
    "train": "balanced_train_segments.csv",
    "valid": "valid_segments.csv",
    "eval": "eval_segments.csv",
}
AUDIOSET_SPLITS = tuple(SEGMENT_LISTS)
CLASS_LIST = "class_labels_indices.csv"
UNBALANCED_LIST = "unbalanced_train_segments.csv"
# File systems allow 255, and .flac.01234567.tmp is added
MAX_NAME_BYTES = 235
NOT_IN_FILE_NAMES = re.compile(r'[/\\:*?"<>|$\x00-\x1f]|\.\.|^$')


class ShardJob(NamedTuple):
    """The clips of one tar shard, and the ``audio_reader`` of their audio."""

    clips: list
    iter_audio: Callable


def find_lists(data_folder, unbalanced=False):
    """Finds the files that list the clips of each split.

    Returns a dict from split (train, eval and, if present, valid) to segment
    lists or parquet shards, and whether these are parquet shards.
    """
    lists = {
        split: [os.path.join(data_folder, name)]
        for split, name in SEGMENT_LISTS.items()
    }
    shards = find_parquet_shards(data_folder)
    more_shards = shards.pop("unbalanced")
    has_shards = shards["train"] and shards["eval"]
    if unbalanced:
        lists["train"].append(os.path.join(data_folder, UNBALANCED_LIST))
        shards["train"] += more_shards
        has_shards = has_shards and more_shards
    audio_folder = os.path.join(data_folder, "audio")
    needed = (*lists["train"], *lists["eval"], audio_folder)
    missing = [path for path in needed if not os.path.exists(path)]
    if not missing:
        return {s: p for s, p in lists.items() if os.path.isfile(p[0])}, False
    if has_shards:
        return {s: paths for s, paths in shards.items() if paths}, True
    needed = ["data/bal_train/00.parquet", "data/eval/00.parquet"]
    needed += ["data/unbal_train/00.parquet"] if unbalanced else []
    raise FileNotFoundError(
        f"{data_folder} has neither all of AudioSet's lists and audio files"
        f" (missing: {', '.join(missing)}) nor parquet shards of all sets (such"
        f" as {', '.join(needed)}). Custom data, in clips.csv or one folder per"
        " class, needs none of AudioSet's files"
    )


def list_clips(lists, in_parquet=False):
    """Reads what ``find_lists`` found: a dict from split to its Segments."""
    listed = {}
    for split, paths in lists.items():
        if in_parquet:
            listed[split] = read_parquet_segments(paths)
        else:
            listed[split] = sum(map(read_segments, paths), [])
        if not listed[split]:
            raise ValueError(
                f"The {split} split is empty: see {', '.join(paths)}"
            )
    return listed


def source_files(data_folder, lists, in_parquet=False):
    """Lists the files that prepared clips depend on, see ``source_state``."""
    paths = [os.path.join(data_folder, CLASS_LIST), *sum(lists.values(), [])]
    if not in_parquet:
        listed = list_clips(lists).values()
        ids = {clip.id for clips in listed for clip in clips}
        with os.scandir(os.path.join(data_folder, "audio")) as entries:
            for entry in entries:
                stem, extension = os.path.splitext(entry.name)
                if stem in ids and extension in AUDIO_EXTENSIONS:
                    paths.append(entry.path)
    return paths


def choose_clips(listed, classes):
    """Keeps each clip once, with eval before valid before train.

    Returns the chosen clips of each split, the skipped ones (dicts with id,
    split and reason), and a Counter of mids that are not among the classes.
    """
    chosen, skipped, unknown_mids = {}, [], Counter()
    split_of = {}
    for split in ("eval", "valid", "train"):
        chosen[split] = []
        for clip in listed.get(split, ()):
            unknown_mids.update(m for m in clip.mids if m not in classes)
            too_long = len(clip.id.encode()) > MAX_NAME_BYTES
            if too_long or NOT_IN_FILE_NAMES.search(clip.id):
                reason = "id cannot be a file name"
            elif split_of.get(clip.id) == split:
                reason = "duplicate"
            elif clip.id in split_of:
                reason = f"also in {split_of[clip.id]} and kept only there"
            elif not any(mid in classes for mid in clip.mids):
                reason = "no known label"
            else:
                split_of[clip.id] = split
                chosen[split].append(clip)
                continue
            skipped.append({"id": clip.id, "split": split, "reason": reason})
    return chosen, skipped, unknown_mids


def audio_reader(data_folder, paths):
    """Returns a function that reads the audio of given ids.

    The audio is in ``paths``: a list of parquet shards, a dict from id to file,
    or None for ``audio/ID.flac`` (or with another of ``AUDIO_EXTENSIONS``). The
    function yields each id with its path, bytes, or None if it is missing.
    """
    if paths is None:
        return functools.partial(_iter_audio_files, data_folder)
    if isinstance(paths, dict):
        return functools.partial(_iter_listed_files, paths)
    return functools.partial(iter_parquet_audio, paths)


def _iter_listed_files(paths, ids):
    """Yields the path of each clip, or None where the file is missing."""
    for clip_id in ids:
        path = paths[clip_id]
        yield clip_id, path if os.path.isfile(path) else None


def _iter_audio_files(data_folder, ids):
    """Yields the path of each clip, or None where the file is missing."""
    folder = os.path.join(data_folder, "audio")
    for clip_id in ids:
        paths = (os.path.join(folder, clip_id + e) for e in AUDIO_EXTENSIONS)
        yield clip_id, next(filter(os.path.isfile, paths), None)


def cut_jobs(clips, data_folder, paths, clips_per_shard):
    """Assigns clips to tar shards so that each reads its audio in one pass.

    Clips in single files are shuffled; clips of a parquet shard keep its order.
    For ``paths`` see ``audio_reader``. Returns a list of ShardJob.
    """
    if paths is None or isinstance(paths, dict):
        shuffled = sorted(
            clips, key=lambda clip: hash_fraction(f"place of {clip.id}")
        )
        groups = [(paths, shuffled)]
    else:
        groups, remaining = [], {clip.id: clip for clip in clips}
        for path in paths:
            ids = [segment.id for segment in read_parquet_segments([path])]
            found = [remaining.pop(i) for i in ids if i in remaining]
            groups.append(([path], found))
    return [
        ShardJob(group[i : i + clips_per_shard], audio_reader(data_folder, p))
        for p, group in groups
        for i in range(0, len(group), clips_per_shard)
    ]
