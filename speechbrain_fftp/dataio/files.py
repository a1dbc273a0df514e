"""Atomic writing of files, and their checksums.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import csv
import hashlib
import json
import os
import pathlib
import secrets
import shutil
import zipfile
import zlib
from typing import Any, Dict, Iterable, Iterator, Union

from speechbrain_fftp.dataio.errors import InputError

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
    block fails, an existing file is left unchanged; a full disk is an OSError
    that names it.
    """
    temporary_path = f"{os.fspath(path)}.{secrets.token_hex(4)}.tmp"
    try:
        yield temporary_path
        replace_file(temporary_path, path)
    except OSError as error:
        error.filename = error.filename or path
        raise
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary_path)


@contextlib.contextmanager
def moved_together(folder: Path) -> Iterator[pathlib.Path]:
    """Yields an empty folder, whose files are moved to ``folder`` after the block.

    It is ``FOLDER.unfinished``: one process may write a folder at a time, and
    what a killed one left there is deleted by the next. A full disk is an OSError
    that names the folder.
    """
    folder = pathlib.Path(folder)
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
    except OSError as error:
        error.filename = error.filename or str(folder)
        raise
    folder.mkdir(exist_ok=True)
    # A file that others belong to, such as NAME of NAME.data, comes last
    for path in sorted(unfinished.iterdir(), reverse=True):
        replace_file(path, folder / path.name)
    unfinished.rmdir()


def replace_file(source: Path, path: Path) -> None:
    """Renames a file once its content is on the disk.

    So that a power loss leaves no empty file.
    """
    with open(source, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(source, path)


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


def read_json(path: Path) -> Dict[str, Any]:
    """Reads the object in a JSON file, with or without a byte order mark.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    InputError
        If it is not JSON, or no object.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        with open(path, encoding="utf-8-sig") as file:
            content = json.load(file)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} does not contain a JSON object.")
    return content
