"""Folders of prepared data that are complete, or known not to be.

While a folder is being prepared it holds ``preparing.json``, in the end
``prepared.json``, with the settings by which it is made.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import json
import os
import shutil
from collections import Counter

from speechbrain_fftp.dataio.files import as_utf8, write_csv, write_json

BEGUN, DONE = "preparing.json", "prepared.json"


def is_prepared(folder, settings, tables=()):
    """Whether a folder is complete and was prepared with these settings.

    Arguments
    ---------
    folder : str
        The folder; it need not be there.
    settings : dict
        The settings. One that is None cannot be told and fits any.
    tables : sequence of str
        Files in the folder that have to be there as well.

    Returns
    -------
    bool
        Whether it is.

    Example
    -------
    >>> is_prepared("no_such_folder", {"task": "12"})
    False
    """
    found = _settings(os.path.join(folder, DONE))
    if found is None or found.keys() != settings.keys():
        return False
    return all(os.path.isfile(os.path.join(folder, t)) for t in tables) and all(
        value is None or value == found[key] for key, value in settings.items()
    )


def begin_preparation(folder, settings, tables=(), parts=(), kept=()):
    """Makes a folder ready to be prepared, anew or for the first time.

    Takes away what an earlier preparation wrote, but nothing else.

    Arguments
    ---------
    folder : str
        The folder, which is made if need be.
    settings : dict
        The settings, for JSON.
    tables : sequence of str
        Files in it that will be written.
    parts : sequence of str
        Folders in it that will be written.
    kept : sequence of str
        Those of them that stay if the settings are the same.

    Raises
    ------
    ValueError
        If one of the parts is there, but is not from a preparation.

    Example
    -------
    >>> folder = getfixture("tmpdir")
    >>> begin_preparation(folder, {"task": "12"})
    >>> is_prepared(folder, {"task": "12"})
    False
    >>> finish_preparation(folder)
    >>> is_prepared(folder, {"task": "12"}), is_prepared(folder, {"task": "35"})
    (True, False)
    """
    begun, done = (os.path.join(folder, name) for name in (BEGUN, DONE))
    os.makedirs(folder, exist_ok=True)
    if os.path.isfile(done):
        os.replace(done, begun)
    found = _settings(begun)
    there = [p for p in parts if os.path.exists(os.path.join(folder, p))]
    if found is None and there:
        raise ValueError(
            f"{folder} holds something else, in {', '.join(there)}: give"
            " another save folder"
        )
    if found == settings:
        there = [part for part in there if part not in kept]
    for part in there:
        shutil.rmtree(os.path.join(folder, part))
    for name in tables if found is not None else ():
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(folder, name))
    write_json(begun, settings)


def finish_preparation(folder):
    """Says that a folder is complete.

    Arguments
    ---------
    folder : str
        The folder that ``begin_preparation`` made ready.

    Example
    -------
    >>> folder = getfixture("tmpdir")
    >>> begin_preparation(folder, {})
    >>> finish_preparation(folder)
    >>> os.listdir(folder)
    ['prepared.json']
    """
    os.replace(os.path.join(folder, BEGUN), os.path.join(folder, DONE))


def write_skipped(path, skipped):
    """Writes the table of files that cannot be used, and sums it up.

    Arguments
    ---------
    path : str
        Where to write it.
    skipped : dict
        From file to the reason; what follows a colon is detail.

    Returns
    -------
    str
        How many there are for each reason, with some of their names.

    Example
    -------
    >>> path = getfixture("tmpdir") / "skipped.csv"
    >>> skipped = {"a.wav": "empty file", "b.wav": "truncated: 8 of 9 samples"}
    >>> print(write_skipped(path, skipped))
    1 empty file, 1 truncated (a.wav, b.wav)
    >>> path.readlines()[2]
    'b.wav,truncated: 8 of 9 samples\\n'
    """
    rows = [[as_utf8(text) for text in row] for row in skipped.items()]
    write_csv(path, ("file", "reason"), rows)
    reasons = Counter(reason.split(":")[0] for _, reason in rows)
    summary = ", ".join(f"{n} {reason}" for reason, n in reasons.items())
    names = [name for name, _ in rows[:3]] + ["..."] * (len(rows) > 3)
    return f"{summary} ({', '.join(names)})" if rows else "none"


def generate_folder(folder, settings_file, settings, write):
    """Generates a folder, whole or not at all, unless it is there already.

    Arguments
    ---------
    folder : str
        The folder. Its name with ``.partial`` is used on the way.
    settings_file : str
        Name of the file in it for the settings.
    settings : dict
        What the content depends on.
    write : callable
        Writes the content to the folder that it is given.

    Raises
    ------
    ValueError
        If the folder holds something else.

    Example
    -------
    >>> folder = getfixture("tmpdir") / "set"
    >>> def write(folder):
    ...     open(os.path.join(folder, "clip.txt"), "w").close()
    >>> generate_folder(folder, "set.json", {"seed": 1}, write)
    >>> sorted(os.listdir(folder))
    ['clip.txt', 'set.json']
    >>> generate_folder(folder, "set.json", {"seed": 2}, write)
    Traceback (most recent call last):
    ValueError: ...
    """
    folder = os.path.abspath(folder)
    if os.path.isdir(folder) and os.listdir(folder):
        path = os.path.join(folder, settings_file)
        found = _settings(path)
        if found != settings:
            raise ValueError(
                f"{folder} holds something else than the generated set with "
                f"{settings} ({path}: {found}). Give another folder, or delete "
                "this one."
            )
        return
    partial = f"{folder}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    os.makedirs(partial)
    write(partial)
    write_json(os.path.join(partial, settings_file), settings)
    if os.path.isdir(folder):
        os.rmdir(folder)
    os.rename(partial, folder)


def _settings(path):
    """The settings in a file; None if there is none."""
    if not os.path.isfile(path):
        return None
    with open(path, encoding="utf-8") as file:
        return json.load(file)
