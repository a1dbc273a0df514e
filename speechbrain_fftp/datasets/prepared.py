"""Folders of prepared data: complete, or known to be incomplete.

A folder holds ``prepared.json`` once it is complete, ``preparing.json`` before
that, with its settings and the state of the source files. A process that writes
it holds ``preparing.lock``.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import functools
import glob
import json
import os
import shutil
import time
from collections import Counter

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio import files
from speechbrain_fftp.datasets.names import as_utf8, text_digest

logger = get_logger(__name__)

BEGUN, DONE, LOCK = "preparing.json", "prepared.json", "preparing.lock"
SHARE_LOCK, WAIT_SECONDS = "preparing-{}.lock", 10
_locked = functools.partial(files._locked, doing="being prepared")
OTHER_FOLDER = "Give another folder, or delete this one to prepare it again."


@contextlib.contextmanager
def prepare_folder(
    folder, settings, source=None, tables=(), parts=(), resume=(), share=None
):
    """Prepares a folder unless it is complete, and marks it complete.

    If the block raises an error or the process is killed, the folder stays
    incomplete and the next call prepares it again. That call keeps the parts
    named in ``resume`` if settings and source are the same; all else that was
    written is removed first.

    Yields whether the block has to write the content. A folder that was made
    with other settings or from other source files, or that holds something
    else, is a ValueError; one that another process prepares is a RuntimeError.

    Arguments
    ---------
    folder : str or Path
        The folder to write.
    settings : dict
        All that the content depends on besides the source, for JSON.
    source : str, optional
        See ``source_state``. None if there are no source files, or if they are
        not accessible: then they count as unchanged.
    tables, parts : sequence of str
        Files and folders that the block writes. If one of these files is
        missing later, the folder counts as incomplete.
    resume : sequence of str
        The parts whose files are written atomically.
    share : str, optional
        Name of a share of the content, if processes write one each. The folder
        stays incomplete: a call without it completes it from what they wrote.
    """
    folder = os.path.abspath(folder)
    # As it is read back: tuples become lists
    made_for = json.loads(json.dumps({"settings": settings, "source": source}))
    if _is_complete(folder, made_for, tables):
        yield False
        return
    os.makedirs(folder, exist_ok=True)
    with contextlib.ExitStack() as stack:
        if share is None:
            stack.enter_context(_locked(folder, LOCK))
            _check_shares(folder)
            # Another process may have finished it just now
            if _is_complete(folder, made_for, tables):
                yield False
                return
            _begin(folder, made_for, tables, parts, resume)
        else:
            with _locked_soon(folder):
                if read_json(os.path.join(folder, BEGUN)) != made_for:
                    _check_shares(folder)
                    _begin(folder, made_for, tables, parts, resume)
                stack.enter_context(_locked(folder, SHARE_LOCK.format(share)))
        with files._name_full_disk(os.path.join(folder, "")):
            yield True
        if share is None:
            done = os.path.join(folder, DONE)
            os.replace(os.path.join(folder, BEGUN), done)


def source_state(paths, root):
    """Number and size of source files, and a checksum of all that is known.

    It changes if a file is added, removed, renamed or written again. Names are
    relative to ``root``; a file that is missing counts as such.
    """
    seen, size, prefix = [], 0, os.path.join(root, "")
    for path in sorted(set(map(str, paths))):
        try:
            stat = os.stat(path)
            about = stat.st_size, stat.st_mtime_ns
            size += stat.st_size
        except OSError:
            about = None
        seen.append((path.removeprefix(prefix), about))
    return f"{len(seen)} files, {size} bytes, {text_digest(repr(seen))[:16]}"


@contextlib.contextmanager
def _locked_soon(folder):
    """Locks a folder; waits for others that begin their shares right now."""
    with contextlib.ExitStack() as stack:
        for left in reversed(range(WAIT_SECONDS)):
            try:
                stack.enter_context(_locked(folder, LOCK))
                break
            except RuntimeError:
                if not left:
                    raise
                time.sleep(1)
        yield


def _check_shares(folder):
    """Raises a RuntimeError if a process writes a share of a folder."""
    pattern = os.path.join(glob.escape(folder), SHARE_LOCK.format("*"))
    for path in glob.glob(pattern):
        with _locked(folder, os.path.basename(path)):
            pass


def _is_complete(folder, made_for, tables):
    """Whether a folder is complete; an error if it was made for other data."""
    path = os.path.join(folder, DONE)
    found = read_json(path)
    if found is None:
        return False
    if "settings" not in found:
        raise ValueError(
            f"{folder} was prepared by an earlier version, which kept no record"
            f" of the source files. {OTHER_FOLDER}"
        )
    settings = found["settings"]
    for key in {**made_for["settings"], **settings}:
        before, now = settings.get(key), made_for["settings"].get(key)
        if before != now:
            raise ValueError(
                f"{folder} was prepared with {key}={before!r}, not {now!r} (see"
                f" {path}). {OTHER_FOLDER}"
            )
    before, now = found["source"], made_for["source"]
    if before != now and None not in (before, now):
        raise ValueError(
            f"The source files have changed since {folder} was prepared: it was"
            f" made from {before} (see {path}), now there are {now}."
            f" {OTHER_FOLDER}"
        )
    return all(os.path.isfile(os.path.join(folder, name)) for name in tables)


def _begin(folder, made_for, tables, parts, resume):
    """Marks a folder incomplete and removes what cannot be resumed."""
    begun, done = (os.path.join(folder, name) for name in (BEGUN, DONE))
    if os.path.isfile(done):  # but a table is missing
        os.replace(done, begun)
    found = read_json(begun)
    if found and made_for["source"] is None:  # it counts as unchanged
        made_for = {**made_for, "source": found.get("source")}
    names = [*tables, *parts]
    there = [n for n in names if os.path.lexists(os.path.join(folder, n))]
    if found is None and there:
        raise ValueError(
            f"{folder} holds something else, or was prepared by an earlier"
            f" version: {', '.join(there)}. {OTHER_FOLDER}"
        )
    if found not in (None, made_for):
        logger.warning(
            "Preparing %s from the beginning: an earlier attempt had other"
            " settings or source files",
            folder,
        )
    kept = [n for n in there if n in resume and found == made_for]
    for name in there:
        if name not in kept:
            _remove(os.path.join(folder, name))
    for place in (folder, *(os.path.join(folder, name) for name in kept)):
        for name in filter(files.TEMPORARY.search, os.listdir(place)):
            _remove(os.path.join(place, name))  # of a process that was killed
    files.write_json(begun, made_for)


def _remove(path):
    """Removes a file, a link or a folder."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.remove(path)


def read_json(path):
    """Object in a JSON file: None if it is absent, {} if it is damaged."""
    if not os.path.isfile(path):
        return None
    try:
        with open(path, encoding="utf-8") as file:
            return dict(json.load(file))
    except (TypeError, ValueError):
        return {}


def write_skipped(path, skipped):
    """Writes a table from file to the reason why it is skipped.

    Returns the number of files for each reason, without the details that follow
    a colon, and the first three names.
    """
    rows = [[as_utf8(text) for text in row] for row in skipped.items()]
    files.write_csv(path, ("file", "reason"), rows)
    reasons = Counter(reason.split(":")[0] for _, reason in rows)
    summary = ", ".join(f"{n} {reason}" for reason, n in reasons.items())
    names = [name for name, _ in rows[:3]] + ["..."] * (len(rows) > 3)
    return f"{summary} ({', '.join(names)})" if rows else "none"
