"""AudioSet's layouts on disk: where its lists, labels and audio files are.

Authors
 * The speechbrain_fftp authors 2026
"""

import glob
import math
import os
from typing import Callable, NamedTuple, Optional

from speechbrain_fftp.datasets.audioset import search, shard_reader
from speechbrain_fftp.datasets.audioset.lists import (
    CLASS_LIST,
    read_classes,
    read_segments,
)
from speechbrain_fftp.datasets.names import hash_fraction

SEGMENT_LISTS = {
    "train": "balanced_train_segments.csv",
    "valid": "valid_segments.csv",
    "eval": "eval_segments.csv",
}
AUDIOSET_SPLITS = tuple(SEGMENT_LISTS)
UNBALANCED_LIST = "unbalanced_train_segments.csv"
CSV_URL = "http://storage.googleapis.com/us_audioset/youtube_corpus/v1/csv"


class Data(NamedTuple):
    """Content of a data folder."""

    classes: dict  # from mid to display name
    list_clips: Callable  # returns the Segments of each split
    audio: dict  # of each split, see shard_reader.iter_audio
    files: list  # all files that the prepared clips depend on
    found: Optional[search.AudioFiles] = None  # if clips were found by ids
    notes: Optional[dict] = None  # of list_clips, for the report


def is_audioset(data_folder):
    """Whether a folder has AudioSet's lists, or shards that hold labels."""
    names = [CLASS_LIST, UNBALANCED_LIST, *SEGMENT_LISTS.values()]
    if any(_find(data_folder, name) for name in names):
        return True
    found = [search.find_shards(data_folder, ".parquet")]
    names = (name for name in search.SPLIT_FOLDERS if "bal" in name)
    if any(_find(data_folder, name) for name in names):
        found.append(search.find_shards(data_folder, ".json"))
    return any(shards[split] for shards in found for split in shards if split)


def _find(data_folder, name):
    """Path of what is in the folder itself or one folder below; or None."""
    root = glob.escape(str(data_folder))
    places = (os.path.join(root, name), os.path.join(root, "*", name))
    return next((p for place in places for p in sorted(glob.glob(place))), None)


def open_audioset(data_folder, unbalanced=False, cut=True, remedy=""):
    """Finds AudioSet's classes, lists and audio; returns Data.

    There are segment lists with audio files or tar shards; or else shards, or
    folders of files, that are named after splits and hold the labels. Without
    ``cut``, every clip starts with its file. The error has the ``remedy`` if
    there is nothing of AudioSet's.
    """
    data_folder = str(data_folder)
    if not os.path.isdir(data_folder):
        raise FileNotFoundError(f"data_folder {data_folder} does not exist")
    class_list = os.path.join(data_folder, CLASS_LIST)
    class_list = _find(data_folder, CLASS_LIST) or class_list
    classes = read_classes(class_list)
    names = {split: [name] for split, name in SEGMENT_LISTS.items()}
    names["train"] += [UNBALANCED_LIST] if unbalanced else []
    lists = {s: [_find(data_folder, n) for n in names[s]] for s in names}
    if lists["valid"] == [None]:
        del names["valid"], lists["valid"]
    absent = [n for s in names for n, p in zip(names[s], lists[s]) if not p]
    problem = f"AudioSet's lists (missing: {', '.join(absent)}; see {CSV_URL})"
    if not absent:
        data, problem = _open_lists(data_folder, lists, classes, cut)
        if data is not None:
            return data._replace(files=[class_list, *data.files])
    for extension in (".parquet", ".tar", ".json"):
        shards = search.find_shards(data_folder, extension)
        more, _ = shards.pop("unbalanced"), shards.pop(None)
        if shards["train"] and shards["eval"] and (more or not unbalanced):
            shards["train"] += more if unbalanced else []
            shards = {split: paths for split, paths in shards.items() if paths}
            data = _open_labelled(shards, extension, classes)
            return data._replace(files=[class_list, *data.files])
    remedy = "" if is_audioset(data_folder) else f". {remedy}"
    needed = ["data/bal_train/00.parquet", "data/eval/00.parquet"]
    needed += ["data/unbal_train/00.parquet"] if unbalanced else []
    raise FileNotFoundError(
        f"{data_folder} has neither {problem} nor parquet or tar shards of all"
        f" sets (such as {', '.join(needed)}){remedy}"
    )


def _open_lists(data_folder, lists, classes, cut):
    """Finds the audio of segment lists; returns Data or None and the reason."""
    listed = {
        s: sum(map(read_segments, paths), []) for s, paths in lists.items()
    }
    _check_listed(listed, lists)
    wanted = {}
    for split in ("eval", "valid", "train"):  # as in choose_clips
        for clip in listed.get(split, ()):
            wanted.setdefault(clip.id, (split, clip.start))
    found = search.find_audio(data_folder, wanted)
    audio, files = dict.fromkeys(listed, found.paths), found.candidates
    if not found.paths:
        tars = search.find_shards(data_folder, ".tar")
        tars["train"] += tars["unbalanced"]
        files = sorted({path for paths in tars.values() for path in paths})
        audio = {split: tars[split] or files for split in listed}
    if not files:
        about = search.describe_files(found, wanted)
        return None, f"audio of its lists ({about})"
    for clips in listed.values():
        for i, clip in enumerate(clips):
            if clip.start and (clip.id in found.timed or not cut):
                end = clip.end - clip.start
                clips[i] = clip._replace(start=0.0, end=end)
    files = [*sum(lists.values(), []), *files]
    return Data(classes, lambda: listed, audio, files, found), None


def _open_labelled(shards, extension, classes):
    """Data of shards, or of folders, that hold the labels as well."""

    def list_clips():
        listed = {
            split: shard_reader.read_labels(paths, classes)
            for split, paths in shards.items()
        }
        _check_listed(listed, shards)
        return listed

    files = sum(shards.values(), [])
    if extension == ".json":
        files = [os.path.join(f, name) for f in files for name in os.listdir(f)]
    return Data(classes, list_clips, shards, files)


def _check_listed(listed, paths):
    """Raises a ValueError for a split without clips."""
    for split in listed:
        if not listed[split]:
            where = ", ".join(paths[split])
            raise ValueError(f"The {split} split is empty: see {where}")


def check_missing(chosen, data, allowed):
    """Raises a ValueError if too large a share of a split has no audio."""
    missing, parts, worst = set(), [], 0
    for split, clips in chosen.items():
        ids = {clip.id for clip in clips}
        if not ids or data.found is None:
            continue
        audio = data.audio[split]
        if not isinstance(audio, dict):
            found = (shard_reader.find_clips(path, ids) for path in audio)
            audio = set().union(*found)
        lost = ids.difference(audio)
        share = len(lost) / len(ids)
        missing, worst = missing | lost, max(worst, share)
        parts += [f"{len(lost)} of {len(ids)} {split} clips ({share:.0%})"]
    if worst > allowed:
        enough = math.ceil(100 * worst) / 100
        about = search.describe_files(data.found, missing)
        raise ValueError(
            f"No audio of {', '.join(parts)}; {about}."
            " Correct the data folder, or accept that these clips are missing:"
            f" --allow_missing {enough:g} (allow_missing: {enough:g})"
        )


def cut_jobs(clips, audio, clips_per_shard):
    """Clips and audio of each tar shard, which reads its audio in one pass.

    Clips in single files are shuffled; clips of a shard keep its order.
    """
    if isinstance(audio, dict):
        shuffled = sorted(
            clips, key=lambda clip: hash_fraction(f"place of {clip.id}")
        )
        groups = [(shuffled, audio)]
    else:
        groups, remaining = [], {clip.id: clip for clip in clips}
        for path in audio:
            ids = shard_reader.find_clips(path, remaining)
            found = [remaining.pop(i) for i in ids if i in remaining]
            groups.append((found, [path]))
        groups.append((list(remaining.values()), {}))  # without audio
    return [
        (group[i : i + clips_per_shard], source)
        for group, source in groups
        for i in range(0, len(group), clips_per_shard)
    ]
