#!/usr/bin/env python3
"""Prepares AudioSet in any of its forms, or custom data.

AudioSet with its own lists is prepared by ``audioset_prepare.py``; its parquet
shards and custom data are written in the same form, see
``fftp_tag.data.prepared``. ``train.py`` does so by itself; the unbalanced set
should be prepared beforehand:
> python recipes/AudioSet/data_prepare.py DATA_FOLDER PREPARED_FOLDER \
>     --unbalanced --valid_fraction 0.01

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import functools
import logging
import os
import threading
from typing import NamedTuple

from audioset_prepare import check_classes, hold_out, prepare_audioset

from fftp_tag.data.audioset import is_audioset, read_classes
from fftp_tag.data.clips import CLIP_SECONDS, Clip, usable_clips
from fftp_tag.data.prepare import prepare_custom
from fftp_tag.data.prepared import is_complete, preparing, write_prepared
from fftp_tag.errors import InputError, one_line_errors
from fftp_tag.files import files_below
from fftp_tag.packages import require

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
    if not is_audioset(data_folder):
        given = {
            "unbalanced": unbalanced,
            "valid_fraction": valid_fraction is not None,  # 0 is given as well
        }
        for name, is_given in given.items():
            if is_given:
                raise InputError(
                    f"{name} is for AudioSet, whose lists {data_folder} lacks"
                )
        prepare_custom(
            data_folder,
            prepared_folder,
            allow_missing=allow_missing,
            test_fold=test_fold,
            **settings,
        )
        return
    settings["unbalanced"] = unbalanced
    settings["valid_fraction"] = 0.05
    if valid_fraction is not None:
        settings["valid_fraction"] = valid_fraction
    shards = find_shards(data_folder)
    with preparing(prepared_folder, settings) as to_do:
        try:
            if to_do and shards:
                prepare_shards(data_folder, shards, prepared_folder, **settings)
            elif to_do:
                prepare_audioset(
                    data_folder,
                    prepared_folder,
                    allow_missing=allow_missing,
                    **settings,
                )
        except ValueError as error:  # of what SpeechBrain would take as well
            raise InputError(str(error)) from error


def prepare_shards(
    data_folder,
    shards,
    prepared_folder,
    sample_rate,
    max_seconds,
    unbalanced,
    valid_fraction,
):
    """Converts parquet shards, see ``prepare_data`` and ``find_shards``."""
    classes = read_classes(data_folder)
    clips = []
    for name in ("train", "unbalanced", "valid", "eval"):
        if name == "unbalanced" and not unbalanced:
            continue
        if name != "valid" and name not in shards:
            raise FileNotFoundError(
                f"{data_folder} has parquet shards, but none of {name}: add"
                " them, such as data/bal_train/00.parquet, data/eval/00.parquet"
                " and data/unbal_train/00.parquet for the unbalanced set"
            )
        split = "train" if name == "unbalanced" else name
        for path in shards.get(name, ()):
            clips += read_shard(path, split, classes, max_seconds)
    clips, skipped = usable_clips(clips, data_folder)
    if "valid" not in shards:
        clips = hold_out(clips, valid_fraction)
    write_prepared(
        prepared_folder,
        clips,
        classes,
        sample_rate=sample_rate,
        may_be_empty=() if valid_fraction else ("valid",),
        skipped=skipped,
    )


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


def read_shard(path, split, classes, max_seconds=CLIP_SECONDS):
    """Lists the clips of a parquet shard, without reading audio.

    Arguments
    ---------
    path : str
        The shard.
    split : str
        The split of its clips.
    classes : dict
        The names of the classes by their mids.
    max_seconds : float
        Longer clips are cut.

    Returns
    -------
    list of Clip
        The clips.
    """
    pa = require("pyarrow", "Parquet")
    import pyarrow.parquet as pq

    clips = []
    end = min(max_seconds, CLIP_SECONDS)
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
                    check_classes(labels, classes)
                    audio = ShardAudio(path, group, row)
                    clip_id = entry["video_id"] or ""
                    clips.append(Clip(clip_id, audio, labels, split, end=end))
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{path} is damaged or not a parquet file: download it again"
            f" ({error})"
        ) from error
    return clips


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
    with one_line_errors():
        prepare_data(**vars(parser.parse_args()))
