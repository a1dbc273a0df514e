"""Prepared folders: complete, or known to be incomplete.

A folder holds ``prepared.json`` once it is complete, and ``preparing.json``
before that, with its settings and the state of the source files. The process
that writes it holds ``preparing.lock``.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import json
import logging
import os
import shutil
from collections import Counter

from speechbrain_fftp.dataio import files
from speechbrain_fftp.datasets.names import as_utf8, text_digest

logger = logging.getLogger(__name__)

BEGUN = "preparing.json"
DONE = "prepared.json"
LOCK = "preparing.lock"
PATHS = ("data_folder",)  # settings that may differ: data may move
OTHER_FOLDER = "Give another folder, or delete this one to prepare it again."


@contextlib.contextmanager
def prepare_folder(
    folder, settings, source=None, tables=(), parts=(), resume=()
):
    """Prepares a folder unless it is complete, and marks it complete.

    Yields whether the block has to write the content: the files ``tables`` and
    the folders ``parts``. It depends on the ``settings``, a dict for JSON, and
    on the ``source``, see ``source_state``; without one, source files count as
    unchanged. The folder is incomplete if a table is missing, the block fails
    or the process is killed. The next call keeps the parts named in ``resume``,
    whose files must be written atomically, if settings and source are the same,
    and removes the other tables and parts.

    Raises
    ------
    ValueError
        If the folder was made with other settings or from other source files,
        or holds something else.
    RuntimeError
        If another process prepares it.
    """
    folder = os.path.abspath(folder)
    # As it is read back: tuples become lists
    made_from = json.loads(json.dumps({"settings": settings, "source": source}))
    if _is_complete(folder, made_from, tables):
        yield False
        return
    os.makedirs(folder, exist_ok=True)
    with files.locked(os.path.join(folder, LOCK), doing="being prepared"):
        # Another process may have finished it just now
        if _is_complete(folder, made_from, tables):
            yield False
            return
        _begin(folder, made_from, tables, parts, resume)
        yield True
        os.replace(os.path.join(folder, BEGUN), os.path.join(folder, DONE))


def is_complete(folder):
    """Whether a folder is marked complete."""
    return os.path.isfile(os.path.join(folder, DONE))


def source_state(paths, root):
    """A text that changes if a file is added, removed, renamed or rewritten.

    Names are relative to ``root``; a file that is missing counts as such.
    """
    states = []
    total_size = 0
    prefix = os.path.join(root, "")
    for path in sorted(set(map(str, paths))):
        try:
            stat = os.stat(path)
            state = (stat.st_size, stat.st_mtime_ns)
            total_size += stat.st_size
        except OSError:
            state = None
        states.append((path.removeprefix(prefix), state))
    digest = text_digest(repr(states))[:16]
    return f"{len(states)} files, {total_size} bytes, {digest}"


def _is_complete(folder, made_from, tables):
    """Whether a folder is complete; an error if it was made from other data."""
    path = os.path.join(folder, DONE)
    record = read_json(path)
    if record is None:
        return False
    if "settings" not in record:
        raise ValueError(
            f"{folder} was prepared by an earlier version, which kept no record"
            f" of the source files. {OTHER_FOLDER}"
        )
    before = _settings(record)
    now = _settings(made_from)
    for key in {**now, **before}:
        if before.get(key) != now.get(key):
            raise ValueError(
                f"{folder} was prepared with {key}={before.get(key)!r}, not"
                f" {now.get(key)!r} (see {path}). {OTHER_FOLDER}"
            )
    if not _same_source(record, made_from):
        raise ValueError(
            f"The source files have changed since {folder} was prepared: it was"
            f" made from {record['source']} (see {path}), now there are"
            f" {made_from['source']}. Their times of modification count: copy"
            f" data with cp -p or rsync -t. {OTHER_FOLDER}"
        )
    return all(os.path.isfile(os.path.join(folder, name)) for name in tables)


def _settings(record):
    """Settings that count; where the data are does not."""
    settings = record.get("settings", {})
    return {key: settings[key] for key in settings if key not in PATHS}


def _same_source(record, made_from):
    """Whether the source files are the same, as far as they are known."""
    before = record.get("source")
    now = made_from["source"]
    return before is None or now is None or before == now


def _begin(folder, made_from, tables, parts, resume):
    """Marks a folder incomplete and removes what cannot be resumed."""
    begun = os.path.join(folder, BEGUN)
    done = os.path.join(folder, DONE)
    if os.path.isfile(done):  # but a table is missing
        os.replace(done, begun)
    record = read_json(begun)
    present = [
        name
        for name in (*tables, *parts)
        if os.path.lexists(os.path.join(folder, name))
    ]
    if record is None and present:
        raise ValueError(
            f"{folder} holds something else, or was prepared by an earlier"
            f" version: {', '.join(present)}. {OTHER_FOLDER}"
        )
    is_same = bool(
        record
        and _settings(record) == _settings(made_from)
        and _same_source(record, made_from)
    )
    if is_same and made_from["source"] is None:  # it counts as unchanged
        made_from = {**made_from, "source": record.get("source")}
    if record is not None and not is_same:
        logger.warning(
            f"Preparing {folder} from the beginning: an earlier attempt had"
            " other settings or source files"
        )
    for name in present:
        path = os.path.join(folder, name)
        if is_same and name in resume:
            _remove_temporary(path)
        else:
            _remove(path)
    _remove_temporary(folder)
    files.write_json(begun, made_from)


def _remove_temporary(folder):
    """Removes unfinished files of a process that was killed."""
    for name in filter(files.TEMPORARY.search, os.listdir(folder)):
        _remove(os.path.join(folder, name))


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
    if not rows:
        return "none"
    reasons = Counter(reason.split(":")[0] for _, reason in rows)
    counts = ", ".join(f"{n} {reason}" for reason, n in reasons.items())
    names = [name for name, _ in rows[:3]]
    if len(rows) > 3:
        names.append("...")
    return f"{counts} ({', '.join(names)})"
