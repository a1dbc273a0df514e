"""Marks prepared folders as complete or incomplete.

A prepared folder holds ``prepared.json`` with the settings, the state of the
source files, and whether the folder is complete.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import json
import logging
import os
import shutil
from pathlib import Path

from speechbrain_fftp.dataio import files
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.datasets.names import PREPARED, text_digest
from speechbrain_fftp.datasets.packs import check_packs

logger = logging.getLogger(__name__)

CLIP_FOLDERS = ("wav", "noise")  # kept when a preparation is resumed
FORMAT = "packs"  # changes with the form of the clips
OTHER_FOLDER = "Give another prepared_folder, or delete this one."


@contextlib.contextmanager
def prepare_folder(folder, settings, source=None):
    """Prepares a folder unless it is complete, and marks it complete.

    Yields whether the block has to write the content. The content depends on
    ``settings``, a dict for JSON, and ``source`` (see ``source_state``);
    without a source, source files count as unchanged. If the block fails or the
    process is killed, the next call with the same settings and source keeps the
    clips that were written.

    Raises
    ------
    InputError
        If the folder was made with other settings or from other source files,
        holds other files, has a damaged pack, or is being prepared by another
        process.
    """
    folder = Path(folder)
    wanted = {"settings": {**settings, "format": FORMAT}, "source": source}
    wanted = json.loads(json.dumps(wanted))  # tuples become lists
    if is_complete(folder):
        _check_same(folder, _read_record(folder), wanted)
        check_packs(folder)
        logger.info("Using the data prepared in %s", folder)
        yield False
        return
    folder.mkdir(parents=True, exist_ok=True)
    with files.locked(folder / "preparing.lock", doing="being prepared"):
        _begin(folder, wanted)
        yield True
        record = {"complete": True, **wanted}
        files.write_json(folder / PREPARED, record)


def is_complete(folder):
    """Whether a folder is marked complete."""
    record = _read_record(Path(folder))
    return record is not None and record.get("complete", False)


def source_state(paths, root):
    """A text that changes if a file is added, removed, renamed or rewritten.

    Names are relative to ``root``; missing files are allowed.
    """
    states = []
    total_size = 0
    for path in paths:
        state = None
        if os.path.exists(path):
            stat = os.stat(path)
            state = (stat.st_size, stat.st_mtime_ns)
            total_size += stat.st_size
        states.append((os.path.relpath(path, root), state))
    digest = text_digest(repr(sorted(states)))[:16]
    return f"{len(states)} files, {total_size} bytes, {digest}"


def _read_record(folder):
    """Content of prepared.json; None without one."""
    path = folder / PREPARED
    if not path.is_file():
        return None
    return json.loads(path.read_text("utf-8"))


def _check_same(folder, record, wanted):
    """Raises an ``InputError`` if settings or source files have changed."""
    before = record["settings"]
    now = wanted["settings"]
    for key in {**now, **before}:
        if before.get(key) != now.get(key):
            raise InputError(
                f"{folder} was prepared with {key}={before.get(key)!r}, not"
                f" {now.get(key)!r}. {OTHER_FOLDER}"
            )
    if wanted["source"] not in (None, record["source"]):
        raise InputError(
            f"{folder}: the source files have changed since it was prepared:"
            f" {record['source']} then, {wanted['source']} now. {OTHER_FOLDER}"
        )


def _begin(folder, wanted):
    """Marks a folder incomplete and removes what cannot be resumed."""
    record = _read_record(folder)
    others = [p.name for p in folder.iterdir() if p.name != "preparing.lock"]
    if record is None and others:
        raise InputError(
            f"{folder} holds other files, such as {min(others)}. {OTHER_FOLDER}"
        )
    is_same = record is not None and all(
        record[key] == value for key, value in wanted.items()
    )
    for name in CLIP_FOLDERS:
        if not is_same:
            shutil.rmtree(folder / name, ignore_errors=True)
        for path in (folder / name).glob("*.tmp"):
            path.unlink()
    files.write_json(folder / PREPARED, {"complete": False, **wanted})
