"""Lists the clips of AudioSet, from segment lists or parquet shards.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import glob
import logging
import os
import re

from speechbrain_fftp.dataio.audio import AUDIO_EXTENSIONS
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.datasets.audioset.lists import (
    CLASS_LIST,
    check_labels,
    read_classes,
    read_segments,
)
from speechbrain_fftp.datasets.manifests import (
    Clip,
    Listing,
    ParquetAudio,
    unique,
)
from speechbrain_fftp.datasets.names import files_below

logger = logging.getLogger(__name__)

SEGMENT_LISTS = {
    "train": "balanced_train_segments.csv",
    "unbalanced": "unbalanced_train_segments.csv",
    "valid": "valid_segments.csv",
    "eval": "eval_segments.csv",
}
LISTS_URL = "https://research.google.com/audioset/download.html"
# File names written by download tools: an id of 11 characters, sometimes after
# a Y, and sometimes followed by times in seconds or milliseconds
FILE_NAME = re.compile(
    r"Y?(?P<id>[\w-]{11})"
    r"(?:_(?P<start>\d+(?:\.\d+)?)(?:[_-]\d+(?:\.\d+)?)?)?",
    re.ASCII,
)


def is_audioset(data_folder):
    """Whether a folder holds AudioSet's lists, folders or parquet shards."""
    names = [CLASS_LIST, *SEGMENT_LISTS.values()]
    # Folders of audio, whose lists may be missing
    names += [name.removesuffix(".csv") for name in SEGMENT_LISTS.values()]
    return any(_find(data_folder, name) for name in names) or bool(
        find_shards(data_folder)
    )


def read_class_list_of(data_folder):
    """Reads the class list of a data folder, or else AudioSet's own."""
    return read_classes(_find(data_folder, CLASS_LIST))


def list_clips(data_folder, unbalanced=False):
    """Lists AudioSet's clips, with the unbalanced set or without it.

    Raises
    ------
    FileNotFoundError
        If the folder lacks a list or the shards of a split.
    InputError
        If a list or a shard is invalid.
    """
    classes = read_class_list_of(data_folder)
    # A list that is added later is a change
    tables = [
        _find(data_folder, CLASS_LIST) or os.path.join(data_folder, CLASS_LIST)
    ]
    splits = ["train", "unbalanced", "valid", "eval"]
    if not unbalanced:
        splits.remove("unbalanced")
    shards = find_shards(data_folder)
    if shards:
        found = {split: shards.get(split) for split in splits}
    else:
        found = {s: _find(data_folder, SEGMENT_LISTS[s]) for s in splits}
    absent = [s for s in splits if s != "valid" and not found[s]]
    if absent:
        names = ", ".join(SEGMENT_LISTS[split] for split in absent)
        raise FileNotFoundError(
            f"{data_folder} lacks AudioSet's {names}: download them from"
            f" {LISTS_URL}, or add parquet shards, such as"
            " data/bal_train/00.parquet and data/eval/00.parquet, and"
            " data/unbal_train/00.parquet for the unbalanced set"
        )
    clips = []
    for name in splits:
        split = "train" if name == "unbalanced" else name
        if not found[name]:
            continue
        if shards:
            for path in found[name]:
                clips += read_shard(path, split, classes)
                tables.append(path)
        else:
            clips += read_segments(found[name], split, classes)
            tables.append(found[name])
    if not shards:
        clips = add_audio(data_folder, clips)
    return Listing(data_folder, classes, clips, tables)


def _find(data_folder, name):
    """Path of a file in the folder or one folder below, or None."""
    root = glob.escape(str(data_folder))
    places = (os.path.join(root, name), os.path.join(root, "*", name))
    return next((p for place in places for p in sorted(glob.glob(place))), None)


def add_audio(data_folder, clips):
    """Finds the audio files of clips below a folder, by their names."""
    starts = {clip.id: clip.start for clip in clips}
    paths = {}
    timed = set()  # ids of files with the segment's start in their name
    n_files = 0
    for name in files_below(data_folder, data_folder):
        stem, extension = os.path.splitext(os.path.basename(name))
        if extension.lower() not in AUDIO_EXTENSIONS:
            continue
        n_files += 1
        clip_id, start = read_name(stem, starts)
        if clip_id is None or clip_id in paths:
            continue
        if start is not None:
            if not _is_start(float(start), starts[clip_id]):
                continue
            timed.add(clip_id)
        paths[clip_id] = os.path.join(data_folder, name)
    logger.info(
        "%s: %d audio files, of %d of the %d listed clips",
        data_folder,
        n_files,
        len(paths),
        len(clips),
    )
    with_audio = []
    for clip in clips:
        clip = dataclasses.replace(clip, audio=paths.get(clip.id))
        if clip.id in timed:  # the file holds the clip alone
            clip = dataclasses.replace(
                clip, start=0.0, end=clip.end - clip.start
            )
        with_audio.append(clip)
    return with_audio


def read_name(stem, ids):
    """Parses the id and the start in a file's name, or None for either."""
    if stem in ids:
        return stem, None
    found = FILE_NAME.fullmatch(stem)
    if found and found["id"] in ids:
        return found["id"], found["start"]
    return None, None


def _is_start(number, start):
    """Whether a number in a name, in s (maybe rounded) or ms, is the start."""
    return abs(number - start) < 1 or abs(number / 1000 - start) < 0.002


def find_shards(data_folder):
    """Finds the parquet shards of each split by their names and folders.

    For example, data/bal_train/00.parquet or unbalanced/train/0000.parquet.
    """
    shards = {}
    for name in files_below(data_folder, data_folder):
        split = _split_of(name.lower())
        if name.endswith(".parquet") and split is not None:
            shards.setdefault(split, []).append(os.path.join(data_folder, name))
    return shards


def _split_of(path):
    """The split that a path names, or None."""
    for part, split in (
        ("unbal", "unbalanced"),
        ("train", "train"),
        ("valid", "valid"),
        ("eval", "eval"),
        ("test", "eval"),
    ):
        if part in path:
            return split
    return None


def read_shard(path, split, classes):
    """Lists the clips of a parquet shard, without reading audio."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise InputError(
            "Parquet shards need pyarrow: pip install pyarrow"
        ) from error
    clips = []
    try:
        with pq.ParquetFile(path) as shard:
            columns = {"video_id", "labels", "audio"}
            missing = columns - set(shard.schema_arrow.names)
            if missing:
                raise InputError(f"{path} has no column {min(missing)}")
            for group in range(shard.num_row_groups):
                table = shard.read_row_group(group, ["video_id", "labels"])
                for row, entry in enumerate(table.to_pylist()):
                    labels = unique(entry["labels"] or ())
                    check_labels(labels, classes, path)
                    audio = ParquetAudio(path, group, row)
                    clip_id = entry["video_id"] or ""
                    clips.append(Clip(clip_id, audio, labels, split))
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{path} is damaged or not a parquet file: download it again"
            f" ({error})"
        ) from error
    return clips
