"""Reads parquet and tar shards, as published or written by other tools.

In a tar shard (WebDataset's format), the files of a clip have the same name but
for the extension: audio, and json or cls with its labels. A folder of such
files counts as a shard, too. There are no start times: every clip is the first
10 seconds of its audio.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import json
import os
import re
import tarfile
from pathlib import Path

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
LABEL_KEYS = ("labels", "label", "cls", "tags")  # of a json, the first counts
# Of a file in a tar shard, by its extension
MAX_BYTES = {
    **dict.fromkeys(AUDIO_EXTENSIONS, 2**30),
    ".json": 2**20,
    ".cls": 2**20,
}


class AudioShards:
    """The audio of clips, in parquet shards, or in tar shards and folders.

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
            with _open_tar(path) as members:
                for stem, extension, read in members:
                    clip_id, *_ = read_name(stem, remaining)
                    if clip_id is not None and extension in AUDIO_EXTENSIONS:
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


def read_labels(paths, classes):
    """Lists the clips of parquet or tar shards; names in a tar are the ids."""
    if paths[0].endswith(".parquet"):
        return read_parquet_clips(paths)
    clips = []
    words = label_words(classes)
    for path in paths:
        mids = {}
        with _open_tar(path) as members:
            for stem, extension, read in members:
                mids.setdefault(stem, ())
                if extension not in AUDIO_EXTENSIONS:
                    mids[stem] = parse_labels(read(), words, len(classes))
        clips += (Clip(i, mids=labels) for i, labels in mids.items())
    return clips


def _ids_in_shard(path, ids):
    """Which ids are in a shard, in its order; of a tar, those with audio."""
    if path.endswith(".parquet"):
        found = [clip.id for clip in read_parquet_clips([path])]
        return [clip_id for clip_id in found if clip_id in ids]
    with _open_tar(path) as members:
        stems = [
            stem
            for stem, extension, _ in members
            if extension in AUDIO_EXTENSIONS
        ]
    found = (read_name(stem, ids)[0] for stem in stems)
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


def label_words(classes):
    """Maps mids, display names and indices of the classes to mids."""
    numbered = {str(i): mid for i, mid in enumerate(classes)}
    named = {name: mid for mid, name in classes.items()}
    return {**numbered, **named, **{mid: mid for mid in classes}}


def parse_labels(content, words, num_classes):
    """Turns the json or cls of a clip into mids; () if it has no labels.

    Labels are ``words``, alone or in a list, or a list of one 0 or 1 per class.
    A word that is unknown is returned as it is.
    """
    text = content.decode("utf-8", "replace").strip()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = [] if text[:1] in ("{", "[") else text  # a damaged json
    if isinstance(value, dict):
        value = next((value[key] for key in LABEL_KEYS if key in value), [])
    if isinstance(value, str) and value not in words:
        value = re.split("[,;] *", value)
    value = [str(v) for v in (value if isinstance(value, list) else [value])]
    if len(value) == num_classes and set(value) <= {"0", "1"}:
        value = [str(i) for i, present in enumerate(value) if present == "1"]
    return unique(words.get(label, label) for label in value)


@contextlib.contextmanager
def _open_tar(path):
    """Opens a tar file, or a folder; errors name it.

    Yields an iterator of name, extension and reader of its audio and labels.
    """
    try:
        if os.path.isdir(path):
            names = (Path(path, name) for name in sorted(os.listdir(path)))
            yield _known(
                (f.name, f.stat().st_size, f.read_bytes) for f in names
            )
            return
        with tarfile.open(path, "r:") as tar:
            files = filter(tarfile.TarInfo.isreg, _members_of(tar))
            yield _known(
                (f.name, f.size, tar.extractfile(f).read) for f in files
            )
    except SHARD_ERRORS as err:
        raise ValueError(
            f"{path} is damaged or not a tar file, fetch it again ({err})"
        )


def _known(members):
    """Yields what ``_open_tar`` describes; too large files are left out."""
    for path, size, read in members:
        stem, extension = os.path.splitext(os.path.basename(path))
        if size <= MAX_BYTES.get(extension.lower(), -1):
            yield stem, extension.lower(), read


def _members_of(tar):
    """Yields the members of a tar, without keeping them in memory."""
    for member in iter(tar.next, None):
        tar.members = []  # tarfile would keep them all
        if member.size < 0:  # the next header would be before this one
            raise tarfile.ReadError("a file of negative size")
        yield member
