"""Reads clips from a tar shard, which may be damaged or on another machine.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import itertools
import json
import os
import shlex
import subprocess
import tarfile
import zlib

# Raised for damaged headers, besides tarfile's own errors
SHARD_ERRORS = (tarfile.TarError, MemoryError, OSError, OverflowError)
SHARD_ERRORS += (ValueError,)
MAX_MEMBER_BYTES = 64 * 2**20  # a clip has about 0.2 MB


@contextlib.contextmanager
def open_shard(folder, file, command=None):
    """Opens a shard: a file in a folder, or what a command writes.

    ``{}`` in the command, a list of arguments, stands for the file. webdataset's
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


def clips_of(tar):
    """Yields the name of each clip and an iterator over its members."""
    return itertools.groupby(
        members_of(tar), lambda member: os.path.splitext(member.name)[0]
    )


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
