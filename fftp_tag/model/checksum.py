"""Checksums of a model.onnx in its metadata, which tell whether it is whole.

That of the file is of all its bytes, with zeros in the place of the checksum.
Damage is found; whoever changes a file on purpose can write another checksum.

Authors
 * The speechbrain_fftp authors 2026
"""

import hashlib
import mmap
import os
from pathlib import Path

from fftp_tag.errors import InputError
from fftp_tag.files import PathLike, file_sha256

GRAPH, WEIGHTS = "graph_sha256", "weights_sha256"  # keys of the metadata
ZEROS = "0" * 64
Bytes = bytes | mmap.mmap


def seal(content: bytes) -> bytes:
    """Puts the checksum of a file into its bytes, which hold ``ZEROS`` there."""
    start, end = find_value(content, GRAPH)
    return content[:start] + file_checksum(content, start, end) + content[end:]


def has_checksum(path: PathLike) -> bool:
    """Whether a file has the mark of a checksum, which damage may have taken."""
    with open(path, "rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            start, end = find_value(content, GRAPH)
    return start < end


def check_whole(path: PathLike) -> None:
    """Raises an InputError if a model.onnx, or its weights, are damaged."""
    with (
        open(path, "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        start, end = find_value(content, GRAPH)
        is_whole = content[start:end] == file_checksum(content, start, end)
        start, end = find_value(content, WEIGHTS)
        expected = content[start:end]
    if not is_whole:
        raise InputError(
            f"{path} is damaged, or was changed by another program: delete it, "
            "and copy, train, import or learn it again."
        )
    weights = Path(f"{path}.data")
    if expected and weights.is_file():
        if file_sha256(weights).encode() != expected:
            raise InputError(
                f"{weights} is damaged, or of another {Path(path).name}: copy "
                "both again."
            )


def file_checksum(content: Bytes, start: int, end: int) -> bytes:
    """The checksum of a file, in which it is at ``start`` to ``end``."""
    with memoryview(content) as view:
        digest = hashlib.sha256(view[:start])
        digest.update(ZEROS.encode())
        digest.update(view[end:])
    return digest.hexdigest().encode()


def find_value(content: Bytes, key: str) -> tuple[int, int]:
    """Where the value of a key of the metadata is; nowhere: two equal numbers.

    In protobuf, a text of 64 characters follows the bytes 18 and 64.
    """
    mark = key.encode() + bytes([18, len(ZEROS)])
    start = content.rfind(mark)
    if start < 0:
        return 0, 0
    start += len(mark)
    return start, start + len(ZEROS)
