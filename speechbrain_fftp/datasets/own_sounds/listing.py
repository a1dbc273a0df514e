"""Finds sounds of one's own: listed in a table, or in one folder per class.

Classes, ids and, where they are not given, splits follow from what is found:
the same files always give the same ones.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import os
from pathlib import PureWindowsPath
from typing import NamedTuple

from speechbrain_fftp.datasets.audioset.layouts import (
    AUDIO_EXTENSIONS,
    CLASS_LIST,
    SEGMENT_LISTS,
    SPLITS,
    UNBALANCED_LIST,
)
from speechbrain_fftp.datasets.audioset.lists import (
    CLIP_SECONDS,
    Segment,
    check_class_names,
    open_csv,
)
from speechbrain_fftp.datasets.audioset.parquet import find_parquet_shards
from speechbrain_fftp.datasets.own_sounds.splits import (
    OwnClip,
    clip_ids,
    deal_splits,
    digest_of,
)

CLIP_LIST = "clips.csv"
SPLIT_WORDS = {**{split: split for split in SPLITS}, "test": "eval"}
LAYOUTS = (
    f"A data folder has either {CLIP_LIST} with the columns path and labels"
    " (joined by ';') and, optionally, split and group; or one folder per"
    f" class with clips in it ({', '.join(AUDIO_EXTENSIONS)}); or AudioSet's"
    f" {CLASS_LIST} with {SEGMENT_LISTS['train']}, {SEGMENT_LISTS['eval']} and"
    " audio/; or that list with parquet shards, such as"
    " data/bal_train/00.parquet and data/eval/00.parquet."
)


class OwnSounds(NamedTuple):
    """What a data folder holds.

    Arguments
    ---------
    classes : dict
        From class to class, sorted: the name is the identifier as well.
    listed : dict
        From split to its clips (see ``datasets.audioset.lists.Segment``).
    files : dict
        From id to file.
    digest : str
        Changes with all of these.

    Example
    -------
    >>> OwnSounds({"dog": "dog"}, {}, {}, "").classes
    {'dog': 'dog'}
    """

    classes: dict
    listed: dict
    files: dict
    digest: str


def find_own_sounds(data_folder):
    """Lists the clips of a data folder that is not AudioSet's.

    That is one without any of AudioSet's lists and parquet shards, and with
    ``clips.csv`` or, without that, one folder per class. Where splits are not
    given, ``deal_splits`` makes them.

    Arguments
    ---------
    data_folder : str
        The folder.

    Returns
    -------
    OwnSounds or None
        None if it is AudioSet's, has no clips or is not there.

    Raises
    ------
    ValueError
        If what it holds makes no sense; the message says what to change.

    Example
    -------
    >>> folder = getfixture("tmpdir")
    >>> for name in ("dog/1.wav", "dog/2.wav", "dog/3.wav", "cat/purr/1.wav"):
    ...     folder.join(name).ensure().check()
    True
    True
    True
    True
    >>> sounds = find_own_sounds(folder)
    >>> sorted(sounds.classes), len(sounds.listed["train"])
    (['cat', 'dog'], 2)
    >>> sorted(sounds.files)
    ['cat_purr_1', 'dog_1', 'dog_2', 'dog_3']
    """
    data_folder = str(data_folder)
    if not os.path.isdir(data_folder) or _is_audioset(data_folder):
        return None
    origin = os.path.join(data_folder, CLIP_LIST)
    if os.path.isfile(origin):
        clips = read_clip_list(origin)
    else:
        clips, origin = list_class_folders(data_folder), data_folder
    if not clips:
        return None
    labels = sorted({label for clip in clips for label in clip.labels})
    check_class_names(labels, origin)
    if len(labels) < 2:
        raise ValueError(
            f"{origin}: at least two classes are needed, found"
            f" {', '.join(labels) or 'none'}. {LAYOUTS}"
        )
    splits = deal_splits(clips)
    missing = [split for split in SPLITS if split not in splits]
    if missing:
        raise ValueError(
            f"{origin}: too few clips for a split of their own:"
            f" {', '.join(missing)}. One class at least needs three clips (of"
            " three groups)."
        )
    ids = clip_ids([clip.path for clip in clips])
    listed = {split: [] for split in SPLITS}
    for clip, split in zip(clips, splits):
        segment = Segment(ids[clip.path], 0.0, CLIP_SECONDS, clip.labels)
        listed[split].append(segment)
    files = {i: os.path.join(data_folder, path) for path, i in ids.items()}
    return OwnSounds(
        {label: label for label in labels},
        listed,
        files,
        digest_of(repr(clips)),
    )


def _is_audioset(data_folder):
    """Whether any of AudioSet's lists or shards is there."""
    names = (CLASS_LIST, UNBALANCED_LIST, *SEGMENT_LISTS.values())
    paths = (os.path.join(data_folder, name) for name in names)
    shards = find_parquet_shards(data_folder)
    return any(map(os.path.exists, paths)) or any(shards.values())


def read_clip_list(path):
    """Reads a table of clips.

    Arguments
    ---------
    path : str
        CSV file with the columns ``path`` (relative to the file's folder),
        ``labels`` (joined by ``;``) and optionally ``split`` (train, valid and
        eval or test; may be empty) and ``group`` (may be empty). Others are
        not read.

    Returns
    -------
    list of OwnClip
        The rows in the order of the file.

    Raises
    ------
    ValueError
        If a column is missing or a row makes no sense; the message has the
        file and the line.

    Example
    -------
    >>> path = getfixture("tmpdir") / "clips.csv"
    >>> path.write("path,labels,split\\na/1.wav,dog; cat,test\\n")
    >>> read_clip_list(path)
    [OwnClip(path='a/1.wav', labels=('dog', 'cat'), split='eval', group='')]
    """
    clips, seen = [], {}
    with open_csv(path) as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        columns = reader.fieldnames or []
        for column in ("path", "labels"):
            if column not in columns:
                raise ValueError(f"{path} has no column '{column}': {columns}")
        for row in reader:
            try:
                clip = _parse_row(row)
                line, earlier = seen.setdefault(
                    clip.path, (reader.line_num, clip)
                )
                if clip != earlier:
                    raise ValueError(
                        f"{clip.path!r} is in line {line} as well, with other"
                        " entries: give it one line, labels joined by ';'"
                    )
            except ValueError as error:
                raise ValueError(f"{path}, line {reader.line_num}: {error}")
            clips.append(clip)
    if not clips:
        raise ValueError(f"{path} lists no clip")
    return clips


def _parse_row(row):
    """Makes a clip of a row, or says what is wrong with it."""
    if None in row:
        raise ValueError(
            f"more entries than columns, the last are {row[None]}: put those"
            " with a comma in double quotes"
        )
    entry = {key: (value or "").strip() for key, value in row.items()}
    if not entry["path"]:
        raise ValueError("the path is empty")
    # Of Windows, whose absolute paths and separators are known with those of
    # other systems
    path = PureWindowsPath(entry["path"])
    if path.drive or path.root or ".." in path.parts or not path.parts:
        raise ValueError(
            f"the path {entry['path']!r} has to be relative to the folder of"
            " this table and to lie within it"
        )
    split = entry.get("split", "").lower()
    if split and split not in SPLIT_WORDS:
        raise ValueError(
            f"the split is {split!r}, not one of {', '.join(SPLIT_WORDS)}"
        )
    labels = (label.strip() for label in entry["labels"].split(";"))
    return OwnClip(
        path.as_posix(),
        tuple(dict.fromkeys(filter(None, labels))),
        SPLIT_WORDS.get(split, ""),
        entry.get("group", ""),
    )


def list_class_folders(data_folder):
    """Lists the clips of a folder with one folder per class.

    Names that begin with a dot are passed over. Folders within those of the
    classes may have any name; links to folders among them are not followed.

    Arguments
    ---------
    data_folder : str
        The folder.

    Returns
    -------
    list of OwnClip
        The clips, sorted by their paths.

    Raises
    ------
    ValueError
        If some of the folders have clips and others have none.

    Example
    -------
    >>> folder = getfixture("tmpdir")
    >>> folder.join("dog", "1.wav").ensure().check()
    True
    >>> list_class_folders(folder)
    [OwnClip(path='dog/1.wav', labels=('dog',), split='', group='')]
    """
    found = {}
    for name in sorted(os.listdir(data_folder)):
        top = os.path.join(data_folder, name)
        if name.startswith(".") or not os.path.isdir(top):
            continue
        found[name] = []
        for folder, folders, files in os.walk(top):
            folders[:] = [f for f in folders if not f.startswith(".")]
            for file in files:
                is_audio = file.lower().endswith(AUDIO_EXTENSIONS)
                if is_audio and not file.startswith("."):
                    path = os.path.join(folder, file)
                    path = os.path.relpath(path, data_folder)
                    path = path.replace(os.sep, "/")
                    found[name].append(OwnClip(path, (name,)))
    empty = [name for name, clips in found.items() if not clips]
    if 0 < len(empty) < len(found):
        raise ValueError(
            f"{data_folder}: no clip ({', '.join(AUDIO_EXTENSIONS)}) in the"
            f" class folders {', '.join(map(repr, empty))}: add some, or take"
            " the folders away"
        )
    return sorted(clip for clips in found.values() for clip in clips)
