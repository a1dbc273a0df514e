"""The index of a training set in tar shards, which says what they hold.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import os
from collections import Counter

INDEX = "train.json"
MIN_CLIP_BYTES = 2048  # the headers of two files, and a block of each
# What is raised over JSON that is damaged or of another form
UNREADABLE = (AttributeError, LookupError, RecursionError, TypeError)
UNREADABLE += (ValueError,)
REMEDY = "audioset_prepare.py DATA_FOLDER SAVE_FOLDER ... --verify mends it"


def make_index(records):
    """What a reader of the shards needs to know before it opens one.

    Arguments
    ---------
    records : list of dict
        What ``write_shards`` gave.

    Returns
    -------
    dict
        Number of ``clips``, of those with each of the ``labels``, the
        ``sample_rate``, and ``shards``: of each ``file`` (relative to the
        index), ``clips``, ``bytes`` and ``sha256``.

    Example
    -------
    >>> make_index([])
    {'clips': 0, 'sample_rate': None, 'labels': {}, 'shards': []}
    """
    labels = Counter()
    for record in records:
        labels.update(record["labels"])
    keys = ("file", "clips", "bytes", "sha256")
    return {
        "clips": sum(record["clips"] for record in records),
        "sample_rate": records[0]["sample_rate"] if records else None,
        "labels": dict(sorted(labels.items())),
        "shards": [{k: r[k] for k in keys} for r in records if r["clips"]],
    }


def read_index(path):
    """Reads the index of a set of shards and looks whether they are there.

    Arguments
    ---------
    path : str or Path
        The ``train.json`` of the prepared folder.

    Returns
    -------
    dict
        See ``make_index``.

    Raises
    ------
    ValueError
        If the index or a shard is missing, or not what it should be.

    Example
    -------
    >>> read_index("no/train.json")
    Traceback (most recent call last):
    ValueError: no/train.json: No such file or directory ...
    """
    try:
        with open(path, encoding="utf-8") as file:
            index = json.load(file)
        labels, clips = index["labels"], [s["clips"] for s in index["shards"]]
        shards = [(s["file"], s["clips"], s["bytes"]) for s in index["shards"]]
        if {tuple(map(type, shard)) for shard in shards} - {(str, int, int)}:
            raise ValueError("file, clips and bytes are no text and numbers")
        if any(count * MIN_CLIP_BYTES > size for _, count, size in shards):
            raise ValueError("a shard is too small for its clips")
        if min((*labels.values(), *clips), default=1) < 1:
            raise ValueError("a label or a shard has no clips")
        if index["clips"] != sum(clips):
            raise ValueError(f"its shards have {sum(clips)} clips")
    except OSError as err:
        raise ValueError(f"{path}: {err.strerror} ({REMEDY})")
    except UNREADABLE as err:
        raise ValueError(f"{path} is no index of shards: {err!r} ({REMEDY})")
    for file, _, size in shards:
        file = os.path.join(os.path.dirname(path), file)
        found = os.path.getsize(file) if os.path.isfile(file) else "no"
        if found != size:
            raise ValueError(
                f"{file} has {found} bytes, {size} in {path} ({REMEDY})"
            )
    return index
