#!/usr/bin/env python3
"""Prepares AudioSet (https://research.google.com/audioset) for tagging.

Lists the clips, from AudioSet's own lists and a folder of audio or from parquet
shards, and converts them once, see ``speechbrain_fftp.dataio.prepared``. The
recipe does so by itself; the unbalanced set should be prepared beforehand:
> python audioset_prepare.py DATA_FOLDER PREPARED_FOLDER --unbalanced \
>     --valid_fraction 0.01

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import csv
import functools
import hashlib
import logging
import os
import re
import threading
from typing import NamedTuple

from speechbrain_fftp.dataio.audio import AUDIO_EXTENSIONS
from speechbrain_fftp.dataio.clips import CLIP_SECONDS, MISSING, Clip
from speechbrain_fftp.dataio.errors import InputError, one_line_errors
from speechbrain_fftp.dataio.packages import require
from speechbrain_fftp.dataio.prepared import (
    SKIPPED,
    check_missing,
    files_below,
    find_list,
    is_complete,
    open_csv,
    preparing,
    read_class_list,
    read_table,
    unique,
    usable_clips,
    write_prepared,
)

logger = logging.getLogger(__name__)
shard_lock = threading.Lock()

CLASS_LIST = "class_labels_indices.csv"
SEGMENT_LISTS = {
    "train": "balanced_train_segments.csv",
    "unbalanced": "unbalanced_train_segments.csv",
    "valid": "valid_segments.csv",
    "eval": "eval_segments.csv",
}
# Parts of the paths of parquet shards
SHARD_NAMES = {
    "unbal": "unbalanced",
    "train": "train",
    "valid": "valid",
    "eval": "eval",
    "test": "eval",
}
LISTS_URL = "https://research.google.com/audioset/download.html"
# File names written by download tools: an id of 11 characters, sometimes after
# a Y, and sometimes followed by times in seconds or milliseconds
FILE_NAME = re.compile(
    r"Y?(?P<id>[\w-]{11})"
    r"(?:_(?P<start>\d+(?:\.\d+)?)(?:[_-]\d+(?:\.\d+)?)?)?",
    re.ASCII,
)


def prepare_audioset(
    data_folder,
    prepared_folder,
    sample_rate=16000,
    unbalanced=False,
    valid_fraction=0.05,
    allow_missing=0.2,
    max_seconds=CLIP_SECONDS,
    class_list=None,
    skip_prep=False,
):
    """Converts AudioSet's clips once, and writes the manifests.

    Writes ``train.csv``, ``valid.csv`` and ``eval.csv``, with the columns ID,
    duration (in seconds), wav (a path relative to ``$data_root``, the prepared
    folder), start and stop (in samples) and labels (names joined by ``;``); and
    ``classes.csv``. Returns at once if the folder is complete; an interrupted
    preparation is resumed.

    Arguments
    ---------
    data_folder : str
        Folder with AudioSet's lists and audio, or its parquet shards. It may be
        deleted afterwards.
    prepared_folder : str
        Folder to write to.
    sample_rate : int
        Sampling rate of the clips, in Hz.
    unbalanced : bool
        Whether to add the unbalanced set to the training clips.
    valid_fraction : float
        Fraction of the training clips to hold out if there is no list of
        validation clips; with 0.0, there is no validation clip.
    allow_missing : float
        Fraction of the clips of a split that may have no audio.
    max_seconds : float
        Longer clips are cut.
    class_list : str, optional
        The list of classes, by default class_labels_indices.csv in the data
        folder.
    skip_prep : bool
        Whether to do nothing.

    Raises
    ------
    FileNotFoundError
        If a list is missing.
    InputError
        If a list is invalid, a split has no usable clip or too many clips
        without audio, or the folder was prepared with other settings.
    """
    if skip_prep:
        return
    if not os.path.isdir(data_folder) and not is_complete(prepared_folder):
        raise FileNotFoundError(f"{data_folder} is not a folder")
    settings = {
        "sample_rate": sample_rate,
        "unbalanced": unbalanced,
        "valid_fraction": valid_fraction,
        "max_seconds": max_seconds,
    }
    with preparing(prepared_folder, settings) as to_do:
        if not to_do:
            warn_of_new_files(
                data_folder, prepared_folder, class_list, unbalanced
            )
            return
        classes = read_classes(data_folder, class_list)
        clips = list_clips(data_folder, classes, unbalanced)
        longest = max(clip.seconds for clip in clips)
        if max_seconds > max(longest, CLIP_SECONDS):
            raise InputError(
                f"max_seconds is {max_seconds:g}, but the longest clip of"
                f" {data_folder} has {longest:g} s: give --max_seconds"
                f" {longest:g}"
            )
        clips = [
            clip._replace(end=min(clip.end, clip.start + max_seconds))
            for clip in clips
        ]
        clips, skipped = usable_clips(clips, data_folder)
        if all(clip.split != "valid" for clip in clips):
            clips = hold_out(clips, valid_fraction)
        check_missing(clips, allow_missing)
        write_prepared(
            prepared_folder,
            clips,
            classes,
            sample_rate=sample_rate,
            may_be_empty=() if valid_fraction else ("valid",),
            skipped=skipped,
        )


def warn_of_new_files(data_folder, prepared_folder, class_list, unbalanced):
    """Counts the clips whose audio files are newer than the prepared folder.

    Arguments
    ---------
    data_folder, prepared_folder, class_list, unbalanced
        See ``prepare_audioset``.
    """
    table = os.path.join(prepared_folder, SKIPPED)
    rows = [row for _, row in read_table(table, ("ID", "reason"))]
    missing = {row["ID"] for row in rows if row["reason"] == MISSING}
    if not missing or not os.path.isdir(data_folder):
        return
    classes = read_classes(data_folder, class_list)
    clips = list_clips(data_folder, classes, unbalanced)
    new = [clip.id for clip in clips if clip.id in missing and clip.audio]
    if new:
        logger.warning(
            "%d clips, such as %s, had no audio file when %s was prepared, and"
            " are not used. To use them, give another prepared_folder, or"
            " delete this one; a training also needs another output_folder",
            len(new),
            new[0],
            prepared_folder,
        )


def read_classes(data_folder, path=None):
    """Reads the list of classes; returns a dict from mid to name."""
    path = find_list(data_folder, CLASS_LIST) or path
    if path is None:
        raise FileNotFoundError(
            f"{data_folder} lacks {CLASS_LIST}: download it from {LISTS_URL}"
        )
    return read_class_list(path)


def list_clips(data_folder, classes, unbalanced=False):
    """Lists AudioSet's clips, with the unbalanced set or without it.

    Arguments
    ---------
    data_folder : str
        The data folder.
    classes : dict
        The names of the classes by their mids.
    unbalanced : bool
        Whether to list the unbalanced set, too.

    Returns
    -------
    list of Clip
        The clips, each with a split.

    Raises
    ------
    FileNotFoundError
        If the folder lacks a list or the shards of a split.
    InputError
        If a list or a shard is invalid.
    """
    names = ["train", "unbalanced", "valid", "eval"]
    if not unbalanced:
        names.remove("unbalanced")
    found = shards = find_shards(data_folder)
    read = read_shard
    if not shards:
        found = {x: find_list(data_folder, SEGMENT_LISTS[x]) for x in names}
        found = {name: [path] for name, path in found.items() if path}
        read = read_segments
    absent = [x for x in names if x != "valid" and x not in found]
    if absent:
        lists = ", ".join(SEGMENT_LISTS[name] for name in absent)
        raise FileNotFoundError(
            f"{data_folder} lacks AudioSet's {lists}: download them from"
            f" {LISTS_URL}, or add parquet shards, such as"
            " data/bal_train/00.parquet and data/eval/00.parquet, and"
            " data/unbal_train/00.parquet for the unbalanced set"
        )
    clips = []
    for name in names:
        split = "train" if name == "unbalanced" else name
        for path in found.get(name, ()):
            clips += read(path, split, classes)
    return clips if shards else add_audio(data_folder, clips)


def read_segments(path, split, classes):
    """Lists the clips of a segment list, without their audio files.

    Arguments
    ---------
    path : str
        The list. Lines that start with ``#`` are comments.
    split : str
        The split of its clips.
    classes : dict
        The names of the classes by their mids.

    Returns
    -------
    list of Clip
        The clips.
    """
    clips = []
    with open_csv(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip() or line.startswith("#"):
                continue
            try:
                fields = next(csv.reader([line], skipinitialspace=True))
                clip_id, start, end, mids = (field.strip() for field in fields)
                start, end = float(start), float(end)
                if not 0 <= start < end:
                    raise InputError("a segment must end after its start")
            except (csv.Error, ValueError) as error:
                raise InputError(
                    f"{path}, line {number}: expected"
                    f' id, start, end, "mid,mid" but found {line[:80]!r}'
                ) from error
            labels = unique(mids.split(","))
            check_labels(labels, classes, f"{path}, line {number}")
            clip = Clip(clip_id, None, labels, split, start, end)
            clips.append(clip._replace(may_be_cut=True))
    if not clips:
        raise InputError(f"{path} lists no clips: the {split} split is empty")
    return clips


def check_labels(labels, classes, origin):
    """Raises an ``InputError`` for a label that is not in the class list."""
    for label in labels:
        if label not in classes:
            raise InputError(
                f"{origin}: {CLASS_LIST} does not list {label}: take both from"
                " the same release, or add the class to it"
            )


def add_audio(data_folder, clips):
    """Finds the audio files of clips below a folder, by their names."""
    starts = {clip.id: clip.start for clip in clips}
    paths = {}
    timed = set()  # ids of files with the segment's start in their name
    for name in files_below(data_folder):
        stem, extension = os.path.splitext(os.path.basename(name))
        if extension.lower() not in AUDIO_EXTENSIONS:
            continue
        clip_id, start = read_name(stem, starts)
        if clip_id is None or clip_id in paths:
            continue
        if start is not None:
            if not is_start(float(start), starts[clip_id]):
                continue
            timed.add(clip_id)
        paths[clip_id] = os.path.join(data_folder, name)
    logger.info(
        "%s: audio files of %d of the %d listed clips",
        data_folder,
        len(paths),
        len(clips),
    )
    with_audio = []
    for clip in clips:
        clip = clip._replace(audio=paths.get(clip.id))
        if clip.id in timed:  # the file holds the clip alone
            clip = clip._replace(start=0.0, end=clip.seconds)
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


def is_start(number, start):
    """Whether a number in a name, in s (maybe rounded) or ms, is the start."""
    return abs(number - start) < 1 or abs(number / 1000 - start) < 0.002


def find_shards(data_folder):
    """Finds the parquet shards of each split by their names and folders.

    For example, data/bal_train/00.parquet or unbalanced/train/0000.parquet.
    """
    shards = {}
    for name in files_below(data_folder):
        if name.endswith(".parquet"):
            for part, split in SHARD_NAMES.items():
                if part in name.lower():
                    path = os.path.join(data_folder, name)
                    shards.setdefault(split, []).append(path)
                    break
    return shards


class ShardAudio(NamedTuple):
    """The place of an audio file in a parquet shard."""

    path: str
    row_group: int
    row: int  # in the row group

    def read(self):
        """The content of the file; may be empty."""
        with shard_lock:  # neighbours are in the same row group
            column = read_row_group(self.path, self.row_group)
        return (column[self.row].as_py() or {}).get("bytes") or b""


@functools.lru_cache(maxsize=2)
def read_row_group(path, row_group):
    """The column ``audio`` of a row group."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as shard:
        return shard.read_row_group(row_group, ["audio"])["audio"]


def read_shard(path, split, classes):
    """Lists the clips of a parquet shard, without reading audio.

    Arguments
    ---------
    path : str
        The shard.
    split : str
        The split of its clips.
    classes : dict
        The names of the classes by their mids.

    Returns
    -------
    list of Clip
        The clips.
    """
    pa = require("pyarrow", "Parquet")
    import pyarrow.parquet as pq

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
                    audio = ShardAudio(path, group, row)
                    clip_id = entry["video_id"] or ""
                    clips.append(
                        Clip(clip_id, audio, labels, split, end=CLIP_SECONDS)
                    )
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{path} is damaged or not a parquet file: download it again"
            f" ({error})"
        ) from error
    return clips


def hold_out(clips, fraction):
    """Moves at least one clip from train to valid, by a hash of the ids.

    With 0.0, moves none.
    """
    if not 0 <= fraction < 1:
        raise InputError(f"valid_fraction is {fraction}, not in [0, 1)")
    if fraction == 0:
        return clips
    places = {
        clip.id: int(hashlib.sha1(clip.id.encode()).hexdigest()[:8], 16) / 16**8
        for clip in clips
        if clip.split == "train"
    }
    usable = (
        places[c.id] for c in clips if c.id in places and not c.is_missing
    )
    limit = max(fraction, min(usable, default=0))
    return [
        clip._replace(split="valid")
        if places.get(clip.id, 1) <= limit
        else clip
        for clip in clips
    ]


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data_folder")
    parser.add_argument("prepared_folder")
    parser.add_argument("--sample_rate", type=int, default=16000)
    parser.add_argument("--valid_fraction", type=float, default=0.05)
    parser.add_argument("--unbalanced", action="store_true")
    parser.add_argument("--allow_missing", type=float, default=0.2)
    parser.add_argument("--max_seconds", type=float, default=CLIP_SECONDS)
    with one_line_errors():
        prepare_audioset(**vars(parser.parse_args()))
