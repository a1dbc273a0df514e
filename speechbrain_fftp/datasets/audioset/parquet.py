"""Reads AudioSet's parquet shards: labels and encoded audio of each clip.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import os
import re

from speechbrain_fftp.datasets.audioset.lists import (
    CLIP_SECONDS,
    Segment,
    unique_mids,
)

# The columns: their content, and the names of suitable types
COLUMNS = {
    "video_id": ("text", "(large_)?string"),
    "labels": ("lists of text", r"(large_)?list<\w+: (large_)?string.*>"),
    "audio.bytes": ("bytes", r"struct<(.*, )?bytes: (large_)?binary\b.*>"),
}


def read_parquet_segments(paths):
    """Lists the clips of parquet shards without reading their audio.

    The shards have no start times: every clip is the first 10 seconds of its
    audio. Returns Segments in the order of the shards.
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
    """Yields id and encoded audio (None if absent) of the given clips.

    Each clip is read once, even if the shards repeat it. At most one row group
    is in memory at a time, and row groups without any of the clips are skipped.
    """
    remaining = set(ids)
    columns = ["video_id", "audio.bytes"]
    for path in paths:
        with _open_shard(path, columns) as shard:
            # Iterating over the whole shard would keep finished row groups
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
    """Opens a parquet file that has the columns; errors name the file."""
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
            f"{path} is damaged or not a parquet file, fetch it again ({err})"
        )
