"""The index of a training set in tar shards: train.json.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import os
from collections import Counter

INDEX = "train.json"
MIN_CLIP_BYTES = 2048  # the headers of two files, and a block of each
# Raised for JSON that is damaged or has another structure
INVALID_INDEX = (AttributeError, LookupError, RecursionError, TypeError)
INVALID_INDEX += (ValueError,)
REMEDY = "audioset_prepare.py DATA_FOLDER SAVE_FOLDER ... --verify repairs it"


def make_index(records):
    """Sums up the records that ``write_shards`` returned.

    The dict has the number of ``clips``, the number with each of the
    ``labels``, the ``sample_rate``, and ``shards``: ``file`` (relative to the
    index), ``clips``, ``bytes`` and ``sha256`` of each.
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


def read_index(path, check_files=True):
    """Reads train.json, see ``make_index``, and checks its shards' sizes.

    A missing or damaged index or shard is a ValueError with the remedy. Without
    ``check_files``, the shards need not be beside the index.
    """
    try:
        with open(path, encoding="utf-8") as file:
            index = json.load(file)
        labels, clips = index["labels"], [s["clips"] for s in index["shards"]]
        shards = [(s["file"], s["clips"], s["bytes"]) for s in index["shards"]]
        if {tuple(map(type, shard)) for shard in shards} - {(str, int, int)}:
            raise ValueError("file, clips and bytes are not text and numbers")
        if any(count * MIN_CLIP_BYTES > size for _, count, size in shards):
            raise ValueError("a shard is too small for its clips")
        if min((*labels.values(), *clips), default=1) < 1:
            raise ValueError("a label or a shard has no clips")
        if index["clips"] != sum(clips):
            raise ValueError(f"its shards have {sum(clips)} clips")
    except OSError as err:
        raise ValueError(f"{path}: {err.strerror} ({REMEDY})")
    except INVALID_INDEX as err:
        raise ValueError(f"{path} is not an index: {err!r} ({REMEDY})")
    for file, _, size in shards if check_files else ():
        file = os.path.join(os.path.dirname(path), file)
        found = os.path.getsize(file) if os.path.isfile(file) else "no"
        if found != size:
            problem = f"{file} has {found} bytes, {size} in {path}"
            raise ValueError(f"{problem} ({REMEDY})")
    return index
