"""Reads clips from parquet and tar shards: those of other tools, and prepared.

In a tar shard (WebDataset's format), the files of a clip have the same name but
for the extension: audio, and json or cls with its labels. A folder of such
files counts as a shard, too. Shards of other tools have no start times: every
clip is the first 10 seconds of its audio. Prepared ones may be damaged or on
another machine.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import json
import os
import re
import shlex
import subprocess
import tarfile
import zlib
from pathlib import Path

from speechbrain_fftp.dataio.audio import AUDIO_EXTENSIONS
from speechbrain_fftp.datasets.audioset.lists import Segment, unique_mids
from speechbrain_fftp.datasets.audioset.search import read_name

# Raised for damaged headers, besides tarfile's own errors
SHARD_ERRORS = (tarfile.TarError, MemoryError, OSError, OverflowError)
SHARD_ERRORS += (ValueError,)
MAX_MEMBER_BYTES = 64 * 2**20  # of prepared shards, whose clips have 0.2 MB
# The columns: their content, and the names of suitable types
COLUMNS = {
    "video_id": ("text", "(large_)?string"),
    "labels": ("lists of text", r"(large_)?list<\w+: (large_)?string.*>"),
    "audio.bytes": ("bytes", r"struct<(.*, )?bytes: (large_)?binary\b.*>"),
}
LABEL_KEYS = ("labels", "label", "cls", "tags")  # of a json, the first counts
# Of files in shards of other tools
MAX_BYTES = dict.fromkeys(AUDIO_EXTENSIONS, 2**30)
MAX_BYTES.update({".json": 2**20, ".cls": 2**20})


def read_labels(paths, classes):
    """Lists the clips of parquet or tar shards; names in a tar are the ids."""
    if paths[0].endswith(".parquet"):
        return read_parquet_segments(paths)
    segments, words = [], label_words(classes)
    for path in paths:
        mids = {}
        with _open_tar(path) as members:
            for stem, extension, read in members:
                mids.setdefault(stem, ())
                if extension not in AUDIO_EXTENSIONS:
                    mids[stem] = parse_labels(read(), words, len(classes))
        segments += (Segment(i, mids=labels) for i, labels in mids.items())
    return segments


def find_clips(path, ids):
    """Ids in a shard, in its order; of a tar shard, those with audio."""
    if path.endswith(".parquet"):
        return [segment.id for segment in read_parquet_segments([path])]
    with _open_tar(path) as members:
        stems = [m[0] for m in members if m[1] in AUDIO_EXTENSIONS]
    found = (read_name(stem, ids)[0] for stem in stems)
    return list(dict.fromkeys(filter(None, found)))


def iter_audio(audio, ids):
    """Yields the given ids with their audio: a path, bytes, or None if missing.

    The audio is in files, a dict from id to path, or a list of parquet or tar
    shards, of which one clip or row group is in memory at a time.
    """
    if isinstance(audio, dict):
        for clip_id in ids:
            path = audio.get(clip_id)
            yield clip_id, path if path and os.path.isfile(path) else None
        return
    if audio[0].endswith(".parquet"):
        yield from iter_parquet_audio(audio, ids)
        return
    remaining = dict.fromkeys(ids)
    for path in audio:
        with _open_tar(path) as members:
            for stem, extension, read in members:
                clip_id, *_ = read_name(stem, remaining)
                if clip_id is not None and extension in AUDIO_EXTENSIONS:
                    del remaining[clip_id]
                    yield clip_id, read()
    yield from remaining.items()


def read_parquet_segments(paths):
    """Lists the clips of parquet shards, in order, without reading audio."""
    segments, columns = [], ["video_id", "labels"]
    for path in paths:
        with _open_parquet(path, columns) as shard:
            for batch in shard.iter_batches(columns=columns):
                for row in batch.to_pylist():
                    clip_id, mids = row["video_id"] or "", row["labels"] or ()
                    segments.append(Segment(clip_id, mids=unique_mids(mids)))
    return segments


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
    return unique_mids(words.get(label, label) for label in value)


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
            files = filter(tarfile.TarInfo.isreg, members_of(tar))
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


@contextlib.contextmanager
def open_shard(folder, file, command=None):
    """Opens a shard: a file in a folder, or what a command writes.

    ``{}`` in the command, a list of arguments, is the file. webdataset's
    own reader loads members of any size into memory, and runs whatever follows
    ``pipe:`` in the name of a shard; here, names are never commands.
    """
    if command is None:
        with tarfile.open(os.path.join(folder, file), "r:") as tar:
            yield tar
        return
    command = [part.replace("{}", file) for part in command]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
                yield tar
        except tarfile.ReadError as err:
            process.stdout.close()
            status = process.wait()
            text = f"{shlex.join(command)} ended with status {status}: {err}"
            raise OSError(text)
        finally:
            process.kill()  # the rest of the shard may not be needed


def members_of(tar):
    """Yields the members of a tar, without keeping them in memory."""
    for member in iter(tar.next, None):
        tar.members = []  # tarfile would keep them all
        if member.size < 0:  # the next header would be before this one
            raise tarfile.ReadError("a file of negative size")
        yield member


def read_clip(tar, members, with_audio):
    """Contents of a clip's files by extension, unless they are too large."""
    files = {}
    for member in members:
        extension = os.path.splitext(member.name)[1].lower()
        if extension == ".json" or with_audio and extension == ".flac":
            if member.isreg() and member.size <= MAX_MEMBER_BYTES:
                files[extension] = tar.extractfile(member).read()
    return files


def check_clip(files, labels, with_audio):
    """Checks the files of a clip and returns its sample."""
    content, flac = files.get(".json"), files.get(".flac")
    if content is None or (with_audio and flac is None):
        raise ValueError(
            "its json or flac is missing or larger than"
            f" {MAX_MEMBER_BYTES} bytes"
        )
    try:
        sample = json.loads(content)
        if not isinstance(sample["labels"], list) or not sample["labels"]:
            raise ValueError("no labels")
        if not labels.keys() >= set(sample["labels"]):
            raise ValueError("unknown labels")
        if not isinstance(sample["id"], str):
            raise ValueError("no id")
        sample["id"].encode("utf-8")  # JSON can hold what UTF-8 cannot
        if with_audio and sample["crc32"] != zlib.crc32(flac):
            raise ValueError("the checksum of its audio does not match")
    except (KeyError, TypeError, RecursionError) as err:
        raise ValueError(f"its json is incomplete or malformed: {err!r}")
    return {**sample, "flac": flac}
