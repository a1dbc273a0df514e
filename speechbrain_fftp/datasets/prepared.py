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
locked = functools.partial(files.locked, doing="being prepared")
OTHER_FOLDER = "Give another folder, or delete this one to prepare it again."


@contextlib.contextmanager
def prepare_folder(
    folder, settings, source=None, tables=(), parts=(), resume=(), share=None
):
    """Prepares a folder unless it is complete, and marks it complete.

    Yields whether the block has to write the content: the files ``tables`` and
    the folders ``parts``. It depends on the ``settings``, a dict for JSON, and
    on the ``source``, see ``source_state``; without one, source files count as
    unchanged. The folder is incomplete if a table is missing, the block fails
    or the process is killed. The next call keeps the parts named in ``resume``,
    whose files must be written atomically, if settings and source are the same,
    and removes all else. After a call for a ``share`` of the content, the
    folder stays incomplete until a call without one.

    A folder that was made with other settings or from other source files, or
    that holds something else, is a ValueError; one that another process
    prepares is a RuntimeError.
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
            stack.enter_context(locked(folder, LOCK))
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
                stack.enter_context(locked(folder, SHARE_LOCK.format(share)))
        with files.name_full_disk(os.path.join(folder, "")):
            yield True
        if share is None:
            done = os.path.join(folder, DONE)
            os.replace(os.path.join(folder, BEGUN), done)


def source_state(paths, root):
    """A text that changes if a file is added, removed, renamed or rewritten.

    Names are relative to ``root``; a file that is missing counts as such.
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
                stack.enter_context(locked(folder, LOCK))
                break
            except RuntimeError:
                if not left:
                    raise
                time.sleep(1)
        yield


def _check_shares(folder):
    """Raises a RuntimeError if a process writes a share of a folder."""
    for name in glob.glob(SHARE_LOCK.format("*"), root_dir=folder):
        with locked(folder, name):
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
            f"Preparing {folder} from the beginning: an earlier attempt had"
            " other settings or source files"
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
    """Writes why files are skipped; returns counts and three of the names."""
    rows = [[as_utf8(text) for text in row] for row in skipped.items()]
    files.write_csv(path, ("file", "reason"), rows)
    reasons = Counter(reason.split(":")[0] for _, reason in rows)
    summary = ", ".join(f"{n} {reason}" for reason, n in reasons.items())
    names = [name for name, _ in rows[:3]] + ["..."] * (len(rows) > 3)
    return f"{summary} ({', '.join(names)})" if rows else "none"
