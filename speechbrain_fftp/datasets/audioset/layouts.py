"""Finds AudioSet's clips, and their audio, in the folder that holds them.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import os
import re
from collections import Counter
from typing import Callable, NamedTuple

from speechbrain_fftp.dataio.audio import AUDIO_EXTENSIONS
from speechbrain_fftp.datasets.audioset.lists import read_segments
from speechbrain_fftp.datasets.audioset.parquet import (
    find_parquet_shards,
    iter_parquet_audio,
    read_parquet_segments,
)
from speechbrain_fftp.datasets.audioset.shards import hash_fraction

SEGMENT_LISTS = {
    "train": "balanced_train_segments.csv",
    "valid": "valid_segments.csv",
    "eval": "eval_segments.csv",
}
CLASS_LIST = "class_labels_indices.csv"
UNBALANCED_LIST = "unbalanced_train_segments.csv"
SPLITS = tuple(SEGMENT_LISTS)
MAX_NAME_BYTES = 240  # of the 255 that file systems allow, with what is added
NOT_IN_FILE_NAMES = re.compile(r'[/\\:*?"<>|$\x00-\x1f]|\.\.|^$')


class ShardJob(NamedTuple):
    """What goes into one tar shard.

    Arguments
    ---------
    clips : list of Segment
        The clips.
    iter_audio : callable
        Gives id and audio (path, bytes, or None if missing) of each of the
        given ids, in an order that is always the same.

    Example
    -------
    >>> ShardJob([], iter).clips
    []
    """

    clips: list
    iter_audio: Callable


def list_clips(data_folder, unbalanced=False):
    """Lists the clips of each split.

    Arguments
    ---------
    data_folder : str
        Folder with AudioSet's lists and audio, or with parquet shards.
    unbalanced : bool
        Whether the unbalanced set belongs to the training split.

    Returns
    -------
    listed : dict
        From split (train, eval and, if there is one, valid) to its clips.
    shards : dict
        From split to its parquet shards; None if the audio is in files.

    Raises
    ------
    FileNotFoundError
        If something is missing.
    ValueError
        If a list cannot be understood or is empty.

    Example
    -------
    >>> folder = getfixture("tmpdir")
    >>> for name in ("balanced_train", "eval"):
    ...     row = f'{name[0]}, 0, 10, "/m/1"'
    ...     folder.join(f"{name}_segments.csv").write(row)
    >>> folder.mkdir("audio").check()
    True
    >>> listed, _ = list_clips(folder)
    >>> {split: [clip.id for clip in clips] for split, clips in listed.items()}
    {'train': ['b'], 'eval': ['e']}
    """
    lists = {s: [os.path.join(data_folder, SEGMENT_LISTS[s])] for s in SPLITS}
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
        origins = {s: p for s, p in lists.items() if os.path.isfile(p[0])}
        listed = {s: sum(map(read_segments, p), []) for s, p in origins.items()}
        shards = None
    elif has_shards:
        origins = {s: paths for s, paths in shards.items() if paths}
        listed = {s: read_parquet_segments(p) for s, p in origins.items()}
    else:
        needed = ["data/bal_train/00.parquet", "data/eval/00.parquet"]
        needed += ["data/unbal_train/00.parquet"] if unbalanced else []
        raise FileNotFoundError(
            f"{data_folder} has neither all of AudioSet's lists and audio"
            f" (missing: {', '.join(missing)}) nor parquet shards of all sets"
            f" (such as {', '.join(needed)}). Sounds of your own, in clips.csv"
            " or one folder per class, do without any file of AudioSet's"
        )
    for split, clips in listed.items():
        if not clips:
            origin = ", ".join(origins[split])
            raise ValueError(f"The {split} split is empty: see {origin}")
    return listed, shards


def choose_clips(listed, classes):
    """Takes every id once, those of eval before all, and only with a label.

    Arguments
    ---------
    listed : dict
        From split to its clips.
    classes : dict
        From mid to display name.

    Returns
    -------
    chosen : dict
        From split (eval, valid, train) to the clips to use.
    skipped : list of dict
        The others: ``id``, ``split`` and ``reason``.
    unknown_mids : collections.Counter
        The mids that are not among the classes.

    Example
    -------
    >>> from speechbrain_fftp.datasets.audioset.lists import Segment
    >>> clips = [Segment("a", 0, 10, ("/m/1",)), Segment("b", 0, 10, ("/m/2",))]
    >>> _, skipped, _ = choose_clips({"eval": clips}, {"/m/1": "Speech"})
    >>> skipped
    [{'id': 'b', 'split': 'eval', 'reason': 'no known label'}]
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
    """Gives the function that reads the audio of given ids.

    Arguments
    ---------
    data_folder : str
        Folder with AudioSet.
    paths : list of str, dict or None
        Parquet shards with the audio; or the file of each id; or None if the
        files are ``audio/ID.flac`` and the like.

    Returns
    -------
    callable
        From ids to id and audio (path, bytes, or None if missing) of each.

    Example
    -------
    >>> folder = getfixture("tmpdir")
    >>> list(audio_reader(folder, None)(["a"]))
    [('a', None)]
    """
    if paths is None:
        return functools.partial(_iter_audio_files, data_folder)
    if isinstance(paths, dict):
        return functools.partial(_iter_listed_files, paths)
    return functools.partial(iter_parquet_audio, paths)


def _iter_listed_files(paths, ids):
    """Gives the path of each clip's audio, or None where it is missing."""
    for clip_id in ids:
        path = paths[clip_id]
        yield clip_id, path if os.path.isfile(path) else None


def _iter_audio_files(data_folder, ids):
    """Gives the path of each clip's audio, or None where it is missing."""
    folder = os.path.join(data_folder, "audio")
    for clip_id in ids:
        paths = (os.path.join(folder, clip_id + e) for e in AUDIO_EXTENSIONS)
        yield clip_id, next(filter(os.path.isfile, paths), None)


def cut_jobs(clips, data_folder, paths, clips_per_shard):
    """Deals clips to tar shards, so that the audio of each is read in one go.

    Those from files are mixed; those of a parquet shard stay in its order.

    Arguments
    ---------
    clips : list of Segment
        The clips.
    data_folder : str
        Folder with AudioSet.
    paths : list of str, dict or None
        Where their audio is, see ``audio_reader``.
    clips_per_shard : int
        How many clips go into a shard, at most.

    Returns
    -------
    list of ShardJob
        What goes into each shard.

    Example
    -------
    >>> from speechbrain_fftp.datasets.audioset.lists import Segment
    >>> clips = [Segment(name, 0, 10, ("/m/1",)) for name in "abcde"]
    >>> jobs = cut_jobs(clips, "AudioSet", None, clips_per_shard=2)
    >>> [[clip.id for clip in job.clips] for job in jobs]
    [['c', 'd'], ['a', 'e'], ['b']]
    """
    if paths is None or isinstance(paths, dict):
        mixed = sorted(clips, key=lambda c: hash_fraction(f"place of {c.id}"))
        groups = [(paths, mixed)]
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
