"""Atomic writing of files, and what identifies them.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import csv
import glob
import hashlib
import json
import os
import posixpath
import secrets
import shutil
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PureWindowsPath
from typing import Any

from fftp_tag.errors import OF_INPUT, InputError

PathLike = str | os.PathLike

LEFT = 3600.0  # seconds after which no process writes a temporary file

PREPARED = "prepared.json"  # tells that a folder is prepared, see prepared.py

# How many blocks of a file identify it, and bytes of each
BLOCKS, BLOCK = 4, 2**14

# What numpy.load raises for a damaged npz file, and its reader for a wrong one
NPZ_DAMAGE = (
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
def atomic_path(path: PathLike) -> Iterator[str]:
    """Yields the name of a temporary file, renamed to ``path`` after the block.

    The name is unique, so several processes may write the same file. If the
    block fails, an existing file is left unchanged; a full disk is an OSError
    that names it. Of a killed process, the temporary file stays, see
    ``remove_leftovers``.
    """
    folder, name = os.path.split(path)
    name = f"{shortened(name)}.{secrets.token_hex(4)}.tmp"
    temporary_path = os.path.join(folder, name)
    try:
        yield temporary_path
        replace_file(temporary_path, path)
    except OSError as error:
        raise named(error, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary_path)


def remove_leftovers(path: PathLike, min_age: float = 0.0) -> None:
    """Removes what killed processes have left of ``atomic_path``.

    Unless they are so many seconds old, another process may be writing them:
    only whoever holds ``path`` may remove these, see ``held``. The name ``*`` is
    that of all files of a folder. This lists the folder: call it once.
    """
    folder, name = os.path.split(path)
    if name != "*":
        name = glob.escape(shortened(name))
    pattern = f"{name}.{'[0-9a-f]' * 8}.tmp"
    for leftover in Path(folder).glob(pattern):
        with contextlib.suppress(OSError):  # another process may remove it
            if time.time() - leftover.stat().st_mtime >= min_age:
                leftover.unlink()


@contextlib.contextmanager
def moved_together(folder: PathLike) -> Iterator[Path]:
    """Yields an empty folder, whose files are moved to ``folder`` after the block.

    If the block fails, none is. It is ``FOLDER.unfinished``: one process may
    write a folder at a time, and what a killed one left there is deleted by the
    next. A full disk is an OSError that names the folder.
    """
    folder = Path(folder).absolute()
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        # A file that others belong to, such as NAME of NAME.data, comes last
        for path in sorted(unfinished.rglob("*"), reverse=True):
            target = folder / path.relative_to(unfinished)
            if path.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                replace_file(path, target)
    except OSError as error:
        raise named(error, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def named(error: OSError, path: PathLike) -> OSError:
    """An error of the system, such as a full disk, with a path if it has none."""
    if error.errno is not None and error.filename is None:
        error.filename = os.fspath(path)
    return error


def replace_file(source: PathLike, path: PathLike) -> None:
    """Renames a file once its content is on the disk.

    So that a power loss leaves no empty file.
    """
    with open(source, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(source, path)


def check_target(path: PathLike) -> None:
    """Raises an InputError unless a file can be written to a path."""
    folder = os.path.dirname(path) or os.curdir
    if os.path.isdir(path) or not os.access(folder, os.W_OK):
        raise InputError(
            f"{path} cannot be written: choose a file in a folder that exists "
            "and permits writing."
        )


def check_new_folder(folder: PathLike) -> None:
    """Raises an InputError unless a folder is new or empty."""
    if os.path.isfile(folder):
        raise InputError(f"{folder} is a file: give a new folder")
    if os.path.isdir(folder) and os.listdir(folder):
        raise InputError(f"{folder} is not empty: give a new folder")


def shortened(name: str) -> str:
    """The first 200 bytes of a file name: file systems allow 255."""
    return os.fsencode(name)[:200].decode("utf-8", "ignore")


def files_below(
    folder: PathLike, on_error: Callable[[OSError], None] | None = None
) -> Iterator[str]:
    """Yields the paths of the files below a folder, relative to it, sorted.

    Links are followed, but not to folders around it. Hidden files and folders,
    and prepared folders, are skipped. ``on_error`` gets the errors of folders
    that cannot be read.
    """
    around = Path(folder).resolve().parents
    stats = [path.stat() for path in around if path.exists()]
    seen = {(stat.st_dev, stat.st_ino) for stat in stats}
    for parent, folders, files in os.walk(
        os.fspath(folder), onerror=on_error, followlinks=True
    ):
        stat = os.stat(parent)
        if (stat.st_dev, stat.st_ino) in seen or PREPARED in files:
            folders.clear()
            continue
        seen.add((stat.st_dev, stat.st_ino))
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        below = os.path.relpath(parent, folder).replace(os.sep, "/")
        for name in sorted(files):
            if not is_hidden(name):
                yield posixpath.normpath(f"{below}/{name}")


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden, by its name.

    This includes the folder ``__MACOSX`` in archives made on a Mac.
    """
    return name.startswith(".") or name == "__MACOSX"


def named_file(described_by: PathLike, name: Any) -> Path:
    """The file that a description of a model names, in the description's folder.

    A description may be a stranger's: a path, or a link to a file elsewhere,
    would put what is there into a model. In the cache of the Hugging Face hub,
    all files are links into a folder ``blobs``.

    Raises
    ------
    InputError
        If it is no plain name, or there is no such file.
    """
    folder = Path(described_by).parent.resolve()
    is_plain = (
        isinstance(name, str)
        and name.isprintable()
        and PureWindowsPath(name).name == name
    )
    if is_plain:
        path = folder / name
        places = folder, (folder / "../../blobs").resolve()
        if os.path.isfile(path) and path.resolve().parent in places:
            return path
    raise InputError(
        f"{described_by} names the file {name!r}: put a file beside it, no link, "
        "and give its plain name."
    )


def file_identity(path: PathLike) -> str:
    """A checksum of a file's size, the time of its change, and blocks of it.

    Caches, indexes, matches and cuts have it, to tell whether what they were
    made from is still there. A file that is moved, with its time, stays the
    same; two files of one size and time that are exchanged do not.

    Raises
    ------
    OSError
        If there is no such file.
    InputError
        If it is a pipe or a device, which might be read for ever.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError(f"{path} is not a regular file")
    with open(path, "rb") as file:
        stat = os.fstat(file.fileno())
        state = f"{stat.st_size} {stat.st_mtime_ns}"
        digest = hashlib.sha256(state.encode())
        for number in range(BLOCKS):
            last = max(stat.st_size - BLOCK, 0)
            file.seek(last * number // (BLOCKS - 1))
            digest.update(file.read(BLOCK))
    return digest.hexdigest()[:16]


def is_unchanged(path: PathLike, identity: str) -> bool:
    """Whether a file is there, and has this ``file_identity``."""
    try:
        return file_identity(path) == identity
    except OF_INPUT:
        return False


def file_sha256(path: PathLike) -> str:
    """The SHA-256 checksum of a file of any size, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def named_damage(path: PathLike, remedy: str) -> Iterator[None]:
    """Makes errors of reading an npz file an InputError that names it."""
    try:
        yield
    except NPZ_DAMAGE as error:
        raise InputError(
            f"{path} is damaged, or another kind of file ({error}): {remedy}"
        ) from error


def write_csv(path: PathLike, header: Iterable, rows: Iterable) -> None:
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


def write_json(path: PathLike, content: Any, strict: bool = False) -> None:
    """Writes a JSON file; ``strict`` writes NaN, which JSON lacks, as null."""
    if strict:
        content = json.loads(json.dumps(content), parse_constant=lambda _: None)
    with atomic_path(path) as temporary_path:
        with open(temporary_path, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.write("\n")


def read_text(path: PathLike) -> str:
    """The text in a file in UTF-8, with or without a byte order mark.

    Raises
    ------
    OSError
        If there is no such file.
    InputError
        If it is another kind of file.
    """
    try:
        return Path(path).read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text in UTF-8: {error}") from error


def read_json(path: PathLike) -> dict[str, Any]:
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
