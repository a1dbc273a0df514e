#!/usr/bin/env python3
"""Prepares AudioSet in any of its forms, or custom data, as packs of clips.

AudioSet's clips are listed by its own lists, see ``audioset_prepare.py``, or by
parquet shards; all are converted once, see ``fftp_tag.data.prepared``.
``train.py`` does so by itself; the unbalanced set should be prepared beforehand:
> python recipes/AudioSet/packs_prepare.py DATA_FOLDER PREPARED_FOLDER \
>     --unbalanced --valid_fraction 0.01

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import contextlib
import functools
import logging
import os
import threading
from typing import NamedTuple

from audioset_prepare import check_classes, hold_out, list_segments

from fftp_tag.audio.decode import AUDIO_EXTENSIONS
from fftp_tag.data.audioset import is_audioset, read_classes
from fftp_tag.data.clips import (
    CLIP_SECONDS,
    MISSING,
    Clip,
    check_missing,
    usable_clips,
)
from fftp_tag.data.prepare import prepare_custom
from fftp_tag.data.prepared import (
    SKIPPED,
    is_complete,
    preparing,
    write_prepared,
)
from fftp_tag.data.tables import read_table
from fftp_tag.errors import InputError, one_line_errors
from fftp_tag.files import files_below
from fftp_tag.packages import require

logger = logging.getLogger(__name__)
shard_lock = threading.Lock()

# Parts of the paths of parquet shards
SHARD_NAMES = {
    "unbal": "unbalanced",
    "train": "train",
    "valid": "valid",
    "eval": "eval",
    "test": "eval",
}


def prepare_data(
    data_folder,
    prepared_folder,
    *,
    sample_rate=16000,
    max_seconds=CLIP_SECONDS,
    allow_missing=0.2,
    test_fold=None,
    unbalanced=False,
    valid_fraction=None,
    skip_prep=False,
):
    """Converts AudioSet or custom data once, and writes the manifests.

    Arguments
    ---------
    data_folder : str
        Folder with AudioSet's lists and audio, its parquet shards, or custom
        data. It may be deleted afterwards.
    prepared_folder : str
        Folder to write to, see ``fftp_tag.data.prepared``.
    sample_rate : int
        Sampling rate of the clips, in Hz.
    max_seconds : float
        Longer clips are cut.
    allow_missing : float
        Fraction of the clips of a split that may have no audio.
    test_fold : str, optional
        The fold to evaluate on, for custom data with folds.
    unbalanced : bool
        Whether to add AudioSet's unbalanced set to the training clips.
    valid_fraction : float, optional
        Fraction of AudioSet's training clips to hold out if there is no list
        of validation clips, by default 0.05; with 0.0, there is no validation
        clip.
    skip_prep : bool
        Whether to do nothing.

    Raises
    ------
    FileNotFoundError
        If the data folder or a list in it is missing.
    InputError
        If the data are invalid, or the folder was prepared with other settings
        or from other clips.
    """
    if skip_prep:
        return
    settings = {"sample_rate": sample_rate, "max_seconds": max_seconds}
    if not os.path.isdir(data_folder):
        if not is_complete(prepared_folder):
            raise FileNotFoundError(f"{data_folder} is not a folder")
        with preparing(prepared_folder, settings):
            return
    if is_audioset(data_folder):
        fraction = 0.05 if valid_fraction is None else valid_fraction
        prepare_packs(
            data_folder,
            prepared_folder,
            {**settings, "unbalanced": unbalanced, "valid_fraction": fraction},
            allow_missing,
        )
        return
    if unbalanced:
        raise InputError(
            f"unbalanced is for AudioSet, whose lists {data_folder} lacks"
        )
    if valid_fraction is not None:
        raise InputError(
            "valid_fraction is for AudioSet, whose lists"
            f" {data_folder} lacks: give its clips splits to hold out others"
        )
    prepare_custom(
        data_folder,
        prepared_folder,
        allow_missing=allow_missing,
        test_fold=test_fold,
        **settings,
    )


def prepare_packs(data_folder, prepared_folder, settings, allow_missing):
    """Prepares AudioSet; for the settings, see ``prepare_data``."""
    max_seconds = settings["max_seconds"]
    unbalanced = settings["unbalanced"]
    with preparing(prepared_folder, settings) as to_do:
        if not to_do:
            warn_of_new_files(data_folder, prepared_folder, unbalanced)
            return
        classes = read_classes(data_folder)
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
        fraction = settings["valid_fraction"]
        if all(clip.split != "valid" for clip in clips):
            with input_errors():
                clips = hold_out(clips, fraction)
        check_missing(clips, allow_missing)
        write_prepared(
            prepared_folder,
            clips,
            classes,
            sample_rate=settings["sample_rate"],
            may_be_empty=() if fraction else ("valid",),
            skipped=skipped,
        )


@contextlib.contextmanager
def input_errors(origin=""):
    """Makes the errors of ``audioset_prepare`` those of a user's input."""
    try:
        yield
    except ValueError as error:
        raise InputError(f"{origin}{error}") from error


def warn_of_new_files(data_folder, prepared_folder, unbalanced):
    """Counts the clips whose audio files are newer than the prepared folder."""
    table = os.path.join(prepared_folder, SKIPPED)
    rows = [row for _, row in read_table(table, ("ID", "reason"))]
    missing = {row["ID"] for row in rows if row["reason"] == MISSING}
    if not missing:
        return
    clips = list_clips(data_folder, read_classes(data_folder), unbalanced)
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


def list_clips(data_folder, classes, unbalanced=False):
    """Lists AudioSet's clips, from parquet shards or from its own lists.

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
    shards = find_shards(data_folder)
    if not shards:
        with input_errors():
            segments = list_segments(
                data_folder, classes, unbalanced, AUDIO_EXTENSIONS
            )
        return [
            Clip(
                id=segment.id,
                audio=segment.audio,
                labels=segment.mids,
                split=segment.split,
                start=segment.start,
                end=segment.stop,
                may_be_cut=True,
            )
            for segment in segments
        ]
    splits = ["train", "valid", "eval"]
    if unbalanced:
        splits.insert(1, "unbalanced")
    absent = [x for x in splits if x != "valid" and x not in shards]
    if absent:
        raise FileNotFoundError(
            f"{data_folder} has parquet shards, but none of {absent[0]}: add"
            " them, such as data/bal_train/00.parquet, data/eval/00.parquet"
            " and data/unbal_train/00.parquet for the unbalanced set"
        )
    clips = []
    for name in splits:
        split = "train" if name == "unbalanced" else name
        for path in shards.get(name, ()):
            clips += read_shard(path, split, classes)
    return clips


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
    """An audio file in a parquet shard."""

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
                    mids = (mid.strip() for mid in entry["labels"] or () if mid)
                    labels = tuple(dict.fromkeys(filter(None, mids)))
                    with input_errors(f"{path}: "):
                        check_classes(labels, classes)
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


# For yaml files: bad input ends a training with one line
prepare = one_line_errors()(prepare_data)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data_folder")
    parser.add_argument("prepared_folder")
    parser.add_argument("--sample_rate", type=int, default=16000)
    parser.add_argument("--max_seconds", type=float, default=CLIP_SECONDS)
    parser.add_argument("--valid_fraction", type=float)
    parser.add_argument("--unbalanced", action="store_true")
    parser.add_argument("--allow_missing", type=float, default=0.2)
    parser.add_argument("--test_fold")
    prepare(**vars(parser.parse_args()))
