"""Reads parquet shards with audio and labels, and tar shards with audio.

The files in a tar shard (WebDataset's format) are named after the clips. There
are no start times: every clip is the first 10 seconds of its audio.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import os
import re
import tarfile

from speechbrain_fftp.dataio.audio import AUDIO_EXTENSIONS
from speechbrain_fftp.datasets.audioset.search import read_name
from speechbrain_fftp.datasets.manifests import Clip, unique

# Raised for damaged headers, besides tarfile's own errors
SHARD_ERRORS = (
    tarfile.TarError,
    MemoryError,
    OSError,
    OverflowError,
    ValueError,
)
# The columns: their content, and the names of suitable types
COLUMNS = {
    "video_id": ("text", "(large_)?string"),
    "labels": ("lists of text", r"(large_)?list<\w+: (large_)?string.*>"),
    "audio.bytes": ("bytes", r"struct<(.*, )?bytes: (large_)?binary\b.*>"),
}
MAX_BYTES = 2**30  # of a file in a tar shard


class AudioShards:
    """The audio of clips, in parquet or tar shards.

    It has the methods of ``convert.AudioFiles``.
    """

    def __init__(self, paths):
        self.paths = paths

    def available(self, ids):
        """The ids that have audio, as a set."""
        return {i for path in self.paths for i in _ids_in_shard(path, ids)}

    def iter_audio(self, ids):
        """Yields the ids with their audio, or None if it is missing.

        One clip, or row group, is in memory at a time.
        """
        if self.paths and self.paths[0].endswith(".parquet"):
            yield from iter_parquet_audio(self.paths, ids)
            return
        remaining = dict.fromkeys(ids)
        for path in self.paths:
            with _open_tar(path) as files:
                for stem, read in files:
                    clip_id, _ = read_name(stem, remaining)
                    if clip_id is not None:
                        del remaining[clip_id]
                        yield clip_id, read()
        yield from remaining.items()

    def group(self, clips):
        """Groups the clips by their shard, each with its audio, in order."""
        groups = []
        remaining = {clip.id: clip for clip in clips}
        for path in self.paths:
            in_shard = [
                remaining.pop(clip_id)
                for clip_id in _ids_in_shard(path, remaining)
                if clip_id in remaining
            ]
            groups.append((in_shard, AudioShards([path])))
        groups.append((list(remaining.values()), AudioShards([])))
        return groups


def _ids_in_shard(path, ids):
    """Which ids are in a shard, in its order."""
    if path.endswith(".parquet"):
        found = [clip.id for clip in read_parquet_clips([path])]
        return [clip_id for clip_id in found if clip_id in ids]
    with _open_tar(path) as files:
        found = [read_name(stem, ids)[0] for stem, _ in files]
    return list(dict.fromkeys(filter(None, found)))


def read_parquet_clips(paths):
    """Lists the clips of parquet shards, in order, without reading audio."""
    clips = []
    columns = ["video_id", "labels"]
    for path in paths:
        with _open_parquet(path, columns) as shard:
            for batch in shard.iter_batches(columns=columns):
                for row in batch.to_pylist():
                    clip_id = row["video_id"] or ""
                    mids = row["labels"] or ()
                    clips.append(Clip(clip_id, mids=unique(mids)))
    return clips


def iter_parquet_audio(paths, ids):
    """Yields id and encoded audio (None if absent) of the given clips.

    Each clip is read once, even if the shards repeat it. At most one row group
    is in memory at a time, and row groups without any of the clips are skipped.
    """
    remaining = set(ids)
    columns = ["video_id", "audio.bytes"]
    for path in paths:
        with _open_parquet(path, columns) as shard:
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
def _open_parquet(path, columns):
    """Opens a parquet file that has the columns; errors name the file."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ImportError("Parquet shards need pyarrow: pip install pyarrow")
    if not os.path.isfile(path):
        raise ValueError(f"{path} is not a regular file")
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


@contextlib.contextmanager
def _open_tar(path):
    """Opens a tar file; yields an iterator of its audio files.

    They are given by their name without extension, and a function that reads
    them. Errors name the tar file.
    """
    try:
        with tarfile.open(path, "r:") as tar:
            yield _audio_in(tar)
    except SHARD_ERRORS as err:
        raise ValueError(
            f"{path} is damaged or not a tar file, fetch it again ({err})"
        )


def _audio_in(tar):
    """Yields what ``_open_tar`` describes; too large files are left out."""
    for member in iter(tar.next, None):
        tar.members = []  # tarfile would keep them all
        if member.size < 0:  # the next header would be before this one
            raise tarfile.ReadError("a file of negative size")
        stem, extension = os.path.splitext(os.path.basename(member.name))
        is_audio = extension.lower() in AUDIO_EXTENSIONS
        if member.isreg() and is_audio and member.size <= MAX_BYTES:
            yield stem, tar.extractfile(member).read
