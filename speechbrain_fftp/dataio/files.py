"""Atomic writing of files, and their checksums.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import csv
import hashlib
import json
import os
import secrets
import zipfile
import zlib
from typing import Any, Iterable, Iterator, Union

Path = Union[str, os.PathLike]

# What numpy.load raises for a damaged npz file, and its reader for a wrong one
DAMAGE = (
    EOFError,
    KeyError,
    MemoryError,
    OSError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[str]:
    """Yields the name of a temporary file, renamed to ``path`` after the block.

    The name is unique, so several processes may write the same file. If the
    block fails, an existing file is left unchanged. An OSError names the file.
    """
    temporary_path = f"{os.fspath(path)}.{secrets.token_hex(4)}.tmp"
    try:
        yield temporary_path
        os.replace(temporary_path, path)
    except OSError as error:  # a write on a full disk names no file
        error.filename = error.filename or os.fspath(path)
        raise
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary_path)


def check_target(path: Path) -> None:
    """Raises an OSError unless a file can be written to a path."""
    folder = os.path.dirname(path) or os.curdir
    if os.path.isdir(path) or not os.access(folder, os.W_OK):
        raise OSError(
            f"{path} cannot be written: choose a file in a folder that exists "
            "and permits writing."
        )


def file_sha256(path: Path) -> str:
    """The SHA-256 checksum of a file of any size, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_csv(path: Path, header: Iterable, rows: Iterable) -> None:
    """Writes a header and rows as a CSV file."""
    with atomic_path(path) as temporary_path:
        with open(
            temporary_path,
            "w",
            newline="",
            encoding="utf-8",
            errors="backslashreplace",  # file names may be no text
        ) as file:
            csv.writer(file, lineterminator="\n").writerows([header, *rows])


def write_json(path: Path, content: Any, strict: bool = False) -> None:
    """Writes a JSON file; ``strict`` writes NaN, which JSON lacks, as null."""
    if strict:
        content = json.loads(json.dumps(content), parse_constant=lambda _: None)
    with atomic_path(path) as temporary_path:
        with open(temporary_path, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
