"""Prepares AudioSet: finds its lists, labels and audio in a data folder.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import glob
import os

from speechbrain_fftp.datasets.audioset import search
from speechbrain_fftp.datasets.audioset.lists import (
    CLASS_LIST,
    read_classes,
    read_segments,
)
from speechbrain_fftp.datasets.audioset.shard_files import (
    AudioShards,
    read_parquet_clips,
)
from speechbrain_fftp.datasets.convert import AudioFiles
from speechbrain_fftp.datasets.manifests import (
    VALID_FRACTION,
    DataFolder,
    prepare_clips,
)

SEGMENT_LISTS = {
    "train": "balanced_train_segments.csv",
    "valid": "valid_segments.csv",
    "eval": "eval_segments.csv",
}
UNBALANCED_LIST = "unbalanced_train_segments.csv"
CSV_URL = "http://storage.googleapis.com/us_audioset/youtube_corpus/v1/csv"


def prepare_audioset(
    data_folder,
    prepared_folder,
    *,
    sample_rate=16000,
    valid_fraction=VALID_FRACTION,
    unbalanced=False,
    format="flac",
    clips_per_shard=1000,
    allow_missing=0.2,
    num_workers=None,
    skip_prep=False,
):
    """Converts AudioSet's clips once and writes the manifests.

    Writes ``flac/ID.flac``, ``train.csv``, ``valid.csv`` and ``eval.csv`` (with
    paths relative to ``$data_root``, the prepared folder), ``classes.csv``,
    ``label_statistics.csv``, and ``prepare_report.json`` with counts and all
    skipped clips. Returns at once if the folder is complete and the source
    files have not changed; an interrupted preparation is resumed.

    Arguments
    ---------
    data_folder : str
        Folder with AudioSet's lists and the audio, or with shards of both. It
        may be deleted afterwards.
    prepared_folder : str
        Folder to write to.
    sample_rate : int
        Sampling rate of the written files, in Hz.
    valid_fraction : float
        Fraction of the training clips to hold out without a valid set.
    unbalanced : bool
        Whether to add the unbalanced set to the training clips.
    format : str
        Storage of the training clips: ``flac``, or ``webdataset`` for
        ``shards/*.tar`` in place of single files.
    clips_per_shard : int
        Number of clips per tar shard; a thousand are about 200 MB.
    allow_missing : float
        Fraction of the clips of a split that may have no audio.
    num_workers : int, optional
        Number of files to convert in parallel, by default one per CPU.
    skip_prep : bool
        Whether to do nothing.

    Raises
    ------
    FileNotFoundError
        If the data folder or a list in it is missing.
    ValueError
        If an argument or a list is invalid, a split has no usable clip or too
        many without audio, or the prepared folder was made with other settings
        or from other files.
    RuntimeError
        If another process is preparing the folder.

    Example
    -------
    >>> data_folder = "/path/to/AudioSet"
    >>> prepare_audioset(data_folder, "prepared")  # doctest: +SKIP
    """
    if skip_prep:
        return
    prepare_clips(
        functools.partial(open_audioset, data_folder, unbalanced=unbalanced),
        data_folder,
        prepared_folder,
        sample_rate=sample_rate,
        valid_fraction=valid_fraction,
        unbalanced=unbalanced,
        format=format,
        clips_per_shard=clips_per_shard,
        allow_missing=allow_missing,
        num_workers=num_workers,
    )


def is_audioset(data_folder):
    """Whether a folder has AudioSet's lists, or parquet shards."""
    names = [CLASS_LIST, UNBALANCED_LIST, *SEGMENT_LISTS.values()]
    if any(_find(data_folder, name) for name in names):
        return True
    shards = search.find_shards(data_folder, ".parquet")
    return any(shards[split] for split in shards if split)


def read_class_list_of(data_folder):
    """AudioSet's classes, or those of a list in the data folder."""
    return read_classes(_find(data_folder, CLASS_LIST))


def _find(data_folder, name):
    """Path of what is in the folder itself or one folder below; or None."""
    root = glob.escape(str(data_folder))
    places = (os.path.join(root, name), os.path.join(root, "*", name))
    return next((p for place in places for p in sorted(glob.glob(place))), None)


def open_audioset(data_folder, *, unbalanced=False):
    """Finds AudioSet's classes, lists and audio; returns a DataFolder.

    There are segment lists with audio files or tar shards; or else parquet
    shards that are named after splits and hold the labels.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist, or lacks lists or audio.
    """
    data_folder = os.path.abspath(data_folder)
    if not os.path.isdir(data_folder):
        raise FileNotFoundError(f"data_folder {data_folder} does not exist")
    classes = read_class_list_of(data_folder)
    names = {split: [name] for split, name in SEGMENT_LISTS.items()}
    if unbalanced:
        names["train"].append(UNBALANCED_LIST)
    lists = {s: [_find(data_folder, n) for n in names[s]] for s in names}
    if lists["valid"] == [None]:
        del names["valid"], lists["valid"]
    absent = [n for s in names for n, p in zip(names[s], lists[s]) if not p]
    if absent:
        problem = f"AudioSet's lists ({', '.join(absent)}; see {CSV_URL})"
    else:
        data = _open_lists(data_folder, lists, classes)
        if data.audio:
            return data
        problem = f"audio of its lists ({data.describe_files()})"
    data = _open_parquet(data_folder, classes, unbalanced)
    if data is not None:
        return data
    needed = ["data/bal_train/00.parquet", "data/eval/00.parquet"]
    if unbalanced:
        needed.append("data/unbal_train/00.parquet")
    raise FileNotFoundError(
        f"{data_folder} lacks {problem}, and parquet shards of all sets (such"
        f" as {', '.join(needed)})"
    )


def _open_lists(data_folder, lists, classes):
    """Finds the audio of segment lists; without any, there is no ``audio``."""
    listed = {
        split: [clip for path in paths for clip in read_segments(path)]
        for split, paths in lists.items()
    }
    _check_listed(listed, lists)
    wanted = {}
    for split in ("eval", "valid", "train"):  # as in choose_clips
        for clip in listed.get(split, ()):
            wanted.setdefault(clip.id, (split, clip.start))
    found = search.find_audio(data_folder, wanted)
    if found.paths:
        files = found.candidates
        audio = dict.fromkeys(listed, AudioFiles(found.paths))
    else:
        tars = search.find_shards(data_folder, ".tar")
        tars["train"] += tars["unbalanced"]
        files = sorted({path for paths in tars.values() for path in paths})
        audio = {}
        if files:
            audio = {
                split: AudioShards(tars[split] or files) for split in lists
            }
    for clips in listed.values():
        for i, clip in enumerate(clips):
            if clip.id in found.timed:
                end = clip.end - clip.start
                clips[i] = clip._replace(start=0.0, end=end)
    paths = [path for split in lists for path in lists[split]]
    return DataFolder(
        folder=data_folder,
        classes=classes,
        list_clips=lambda: listed,
        audio=audio,
        files=[*_class_list(data_folder), *paths, *files],
        notes={"audio": found.counts},
        describe_files=lambda: search.describe_files(found),
    )


def _open_parquet(data_folder, classes, unbalanced):
    """Finds parquet shards, which hold the labels as well; else None."""
    found = search.find_shards(data_folder, ".parquet")
    shards = {split: found[split] for split in SEGMENT_LISTS if found[split]}
    if "train" not in shards or "eval" not in shards:
        return None
    if unbalanced:
        if not found["unbalanced"]:
            return None
        shards["train"] += found["unbalanced"]

    def list_clips():
        listed = {s: read_parquet_clips(paths) for s, paths in shards.items()}
        _check_listed(listed, shards)
        return listed

    return DataFolder(
        folder=data_folder,
        classes=classes,
        list_clips=list_clips,
        audio={split: AudioShards(paths) for split, paths in shards.items()},
        files=[
            *_class_list(data_folder),
            *(path for paths in shards.values() for path in paths),
        ],
    )


def _class_list(data_folder):
    """The class list as a file that the clips depend on, even if it is absent."""
    absent = os.path.join(data_folder, CLASS_LIST)
    return [_find(data_folder, CLASS_LIST) or absent]


def _check_listed(listed, paths):
    """Raises a ValueError for a split without clips."""
    for split in listed:
        if not listed[split]:
            where = ", ".join(paths[split])
            raise ValueError(f"The {split} split is empty: see {where}")
