"""Readers for parquet shards, as which AudioSet circulates.

They hold the labels of each clip and its encoded audio.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import glob
import os
import re

from speechbrain_fftp.datasets.audioset.lists import (
    CLIP_SECONDS,
    Segment,
    unique_mids,
)

# The columns of parquet shards: what they hold, and the names of such types
COLUMNS = {
    "video_id": ("text", "(large_)?string"),
    "labels": ("lists of text", r"(large_)?list<\w+: (large_)?string.*>"),
    "audio.bytes": ("bytes", r"struct<(.*, )?bytes: (large_)?binary\b.*>"),
}

SHARD_NAMES = {
    "train": ("train", "bal_train", "balanced_train"),
    "valid": ("valid", "validation"),
    "eval": ("eval", "test"),
    "unbalanced": ("unbal_train", "unbalanced_train"),
}


def find_parquet_shards(data_folder):
    """Finds the parquet shards of each split by their names.

    They may lie in the folder itself or in its ``data`` folder, named after
    their split (``train-00000-of-00052.parquet``) or in a folder named after it
    (``bal_train/00.parquet``). The unbalanced training set is a split of
    its own.

    Arguments
    ---------
    data_folder : str or Path
        Folder to look in.

    Returns
    -------
    shards : dict
        From split (train, valid, eval, unbalanced) to its files, sorted.

    Example
    -------
    >>> folder = getfixture("tmpdir")
    >>> folder.join("data", "eval", "00.parquet").ensure().check()
    True
    >>> shards = find_parquet_shards(folder)
    >>> {split: len(paths) for split, paths in shards.items()}
    {'train': 0, 'valid': 0, 'eval': 1, 'unbalanced': 0}
    """
    root = glob.escape(str(data_folder))
    shards = {}
    for split, names in SHARD_NAMES.items():
        found = set()
        for folder in (root, os.path.join(root, "data")):
            for name in names:
                for pattern in (f"{name}*.parquet", f"{name}/*.parquet"):
                    found.update(glob.glob(os.path.join(folder, pattern)))
        shards[split] = sorted(found)
    return shards


def read_parquet_segments(paths):
    """Lists the clips of parquet shards without touching their audio.

    The shards do not say where a clip lies in its recording: all are taken as
    the first 10 seconds.

    Arguments
    ---------
    paths : list of str
        Shards with the columns video_id and labels (mids).

    Returns
    -------
    segments : list of Segment
        The rows in the order of the shards.

    Example
    -------
    >>> import pyarrow as pa
    >>> import pyarrow.parquet as pq
    >>> path = str(getfixture("tmpdir") / "eval.parquet")
    >>> table = {"video_id": ["-0xzrMun0Rs"], "labels": [["/m/04rlf"]]}
    >>> pq.write_table(pa.table(table), path)
    >>> read_parquet_segments([path])
    [Segment(id='-0xzrMun0Rs', start=0.0, end=10.0, mids=('/m/04rlf',))]
    """
    segments = []
    for path in paths:
        with _open_shard(path, ["video_id", "labels"]) as shard:
            for batch in shard.iter_batches(columns=["video_id", "labels"]):
                for row in batch.to_pylist():
                    clip_id, mids = row["video_id"] or "", row["labels"] or ()
                    segments.append(
                        Segment(clip_id, 0.0, CLIP_SECONDS, unique_mids(mids))
                    )
    return segments


def iter_parquet_audio(paths, ids):
    """Streams the encoded audio of chosen clips out of parquet shards.

    Not more than one row group of a shard is in memory at a time, and those
    without a chosen clip are not read.

    Arguments
    ---------
    paths : list of str
        Shards with the columns video_id and audio (a struct with bytes).
    ids : iterable of str
        The clips to read. Each is given once, even if the shards repeat it.

    Yields
    ------
    clip_id : str
        Identifier of the clip.
    audio : bytes
        Content of its audio file, None if the shard has none.

    Example
    -------
    >>> import pyarrow as pa
    >>> import pyarrow.parquet as pq
    >>> path = str(getfixture("tmpdir") / "eval.parquet")
    >>> rows = {"video_id": ["a"], "audio": [{"bytes": b"fLaC"}]}
    >>> pq.write_table(pa.table(rows), path)
    >>> list(iter_parquet_audio([path], ids=["a"]))
    [('a', b'fLaC')]
    """
    remaining = set(ids)
    columns = ["video_id", "audio.bytes"]
    for path in paths:
        with _open_shard(path, columns) as shard:
            # Batches of the whole shard would keep its finished row groups
            for group in range(shard.num_row_groups):
                names = shard.read_row_group(group, ["video_id"])["video_id"]
                if remaining.isdisjoint(names.to_pylist()):
                    continue
                for batch in shard.iter_batches(8, [group], columns):
                    for row in batch.to_pylist():
                        if row["video_id"] in remaining:
                            remaining.remove(row["video_id"])
                            audio = row["audio"] or {"bytes": None}
                            yield row["video_id"], audio["bytes"]


@contextlib.contextmanager
def _open_shard(path, columns):
    """Opens a parquet file, whose errors name it, if it has the columns."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ImportError(
            "Reading parquet shards needs pyarrow: pip install pyarrow"
        )
    if not os.path.isfile(path):
        raise ValueError(f"{path} is no regular file")
    try:
        with pq.ParquetFile(path) as shard:
            fields = [(f.name, str(f.type)) for f in shard.schema_arrow]
            for column in columns:
                content, pattern = COLUMNS[column]
                name = column.split(".")[0]
                found = [t for field, t in fields if field == name]
                if len(found) != 1 or not re.fullmatch(pattern, found[0]):
                    raise ValueError(
                        f"{path} has no column '{column}' of {content}: it has"
                        f" {fields}"
                    )
            yield shard
    except (pa.ArrowException, OSError, UnicodeDecodeError) as err:
        raise ValueError(
            f"{path} is damaged or no parquet file, fetch it again ({err})"
        )
