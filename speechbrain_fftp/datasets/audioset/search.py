"""Finds the audio of AudioSet's clips below a folder, by the names of files.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import logging
import os
import re
from typing import NamedTuple

from tqdm import tqdm

from speechbrain_fftp.dataio.audio import AUDIO_EXTENSIONS
from speechbrain_fftp.datasets.names import as_utf8, is_hidden
from speechbrain_fftp.datasets.prepared import BEGUN, DONE

logger = logging.getLogger(__name__)

SPLIT_FOLDERS = {
    **dict.fromkeys(("train", "bal_train", "balanced_train"), "train"),
    "balanced_train_segments": "train",
    **dict.fromkeys(("unbal_train", "unbalanced_train"), "unbalanced"),
    "unbalanced_train_segments": "unbalanced",
    **dict.fromkeys(("valid", "validation", "valid_segments"), "valid"),
    **dict.fromkeys(("eval", "test", "eval_segments"), "eval"),
}
# What download tools make of an id: 11 characters, which may begin with a Y
# and hold digits and _; times are in seconds or milliseconds
NAME = re.compile(
    r"Y?(?P<id>[\w-]{11})"
    r"(?:_(?P<start>\d+(?:\.\d+)?)(?:[_-]\d+(?:\.\d+)?)?)?",
    re.ASCII,
)
FORMATS = {extension: i for i, extension in enumerate(AUDIO_EXTENSIONS)}
PROGRESS_SECONDS = 5  # until a search shows a progress bar


class FoundFiles(NamedTuple):
    """What ``find_audio`` found."""

    paths: dict  # from id to file
    timed: set  # ids of files that are named after their segment's start
    candidates: list  # all files that are named like an id
    counts: dict  # for the report
    unlisted: str | None  # one of the other files, as an example


def walk(folder, max_depth=None):
    """Yields folder, split and file names, like ``os.walk``, in order.

    The split (or None) is that of the topmost folder that is named after one.
    Links are followed. Hidden folders and prepared ones are left out.
    """
    seen = set()
    root = os.path.join(folder, "")
    warn = functools.partial(logger.warning, "Skipped a folder: %s")
    for place, folders, files in os.walk(folder, True, warn, followlinks=True):
        stat = os.stat(place)
        parts = os.path.join(place, "").removeprefix(root).split(os.sep)[:-1]
        is_prepared = parts and (DONE in files or BEGUN in files)
        if (stat.st_dev, stat.st_ino) in seen or is_prepared:
            folders.clear()
            continue
        seen.add((stat.st_dev, stat.st_ino))
        folders[:] = sorted(f for f in folders if not is_hidden(f))
        if len(parts) == max_depth:
            folders.clear()
        split = next(filter(None, map(SPLIT_FOLDERS.get, parts)), None)
        if split == "train" and parts[0].startswith("unbal"):
            split = "unbalanced"
        yield place, split, files


def find_shards(data_folder, extension):
    """Finds shards of each split by the names of files or folders.

    They are named after their split (``train-00000-of-00052.parquet``) or in a
    folder that is (``data/bal_train/00.parquet``), at most two folders down.
    The split of other names is None.
    """
    shards = {split: [] for split in (*SPLIT_FOLDERS.values(), None)}
    for folder, split, files in walk(str(data_folder), max_depth=2):
        for file in files:
            if file.endswith(extension):
                begins = next(filter(file.startswith, SPLIT_FOLDERS), None)
                path = os.path.join(folder, file)
                shards[split or SPLIT_FOLDERS.get(begins)].append(path)
    return {split: sorted(paths) for split, paths in shards.items()}


def find_audio(data_folder, wanted):
    """Finds the audio files of clips, whatever tool downloaded them.

    ``wanted`` maps each id to its split and to the start of its segment. Of
    several files of a clip, those in a folder of its split come first, then
    those in no split's folder, then formats in their usual order.
    """
    best = {}
    candidates = []
    unlisted = None
    counts = {"files": 0, "not_listed": 0, "of_another_segment": 0}
    files = (
        (folder, split, *os.path.splitext(file))
        for folder, split, names in walk(str(data_folder))
        for file in names
    )
    for folder, split, stem, extension in tqdm(
        files, desc="search", unit=" files", delay=PROGRESS_SECONDS
    ):
        order = FORMATS.get(extension.lower())
        if order is None:
            continue
        counts["files"] += 1
        clip_id, start = read_name(stem, wanted)
        path = os.path.join(folder, stem + extension)
        if clip_id is None:
            counts["not_listed"] += 1
            unlisted = unlisted or path
            continue
        listed_split, listed_start = wanted[clip_id]
        if start is not None and not _is_start(float(start), listed_start):
            counts["of_another_segment"] += 1
            continue
        candidates.append(path)
        split = "train" if split == "unbalanced" else split
        if split is None:
            place = 1
        else:
            place = 0 if split == listed_split else 2
        rank = (place, order, path, start is not None)
        best[clip_id] = min(rank, best.get(clip_id, rank))
    return FoundFiles(
        paths={clip_id: path for clip_id, (_, _, path, _) in best.items()},
        timed={clip_id for clip_id, (*_, is_timed) in best.items() if is_timed},
        candidates=candidates,
        counts=counts,
        unlisted=unlisted,
    )


def read_name(stem, ids):
    """The id and the start in a file's name; None for what it lacks."""
    if stem in ids:
        return stem, None
    found = NAME.fullmatch(stem)
    if found and found["id"] in ids:
        return found["id"], found["start"]
    return None, None


def _is_start(number, start):
    """Whether a number in a name, in s (maybe rounded) or ms, is the start."""
    return abs(number - start) < 1 or abs(number / 1000 - start) < 0.002


def describe_files(found):
    """Says which audio files there are besides those named like an id."""
    parts = [f"{found.counts['files']} audio files found"]
    if number := found.counts["not_listed"]:
        parts.append(
            f"{number} of them not named like a listed id, such as"
            f" {as_utf8(found.unlisted)}"
        )
    if number := found.counts["of_another_segment"]:
        parts.append(f"{number} named after another segment of their video")
    return ", ".join(parts)
