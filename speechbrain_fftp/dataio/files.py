"""Atomic writes of files and folders, checksums, and names for files.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import csv
import hashlib
import json
import os
import re
import secrets
import shutil
from collections import Counter

from speechbrain_fftp.dataio.disk import name_full_disk

TEMPORARY = re.compile(r"\.[0-9a-f]{8}\.tmp$")  # the end of unfinished names
MAX_ID = 100  # characters of a path that an id keeps


@contextlib.contextmanager
def atomic_path(path):
    """Writes a file under a temporary name and renames it when it is complete.

    The temporary name is unique, so several processes may write the same file.
    After an error it is removed and an earlier file stays as it was. The file
    gets the permissions of a new file (the umask), whatever its writer sets.

    Arguments
    ---------
    path : str or Path
        The file to write.

    Yields
    ------
    temporary_path : str
        An empty file in the same folder, to be written instead.

    Example
    -------
    >>> path = getfixture("tmpdir") / "notes.txt"
    >>> with atomic_path(path) as temporary_path:
    ...     _ = open(temporary_path, "w").write("complete")
    ...     path.check()
    False
    >>> path.read()
    'complete'
    """
    temporary_path = _temporary(path)
    try:
        with name_full_disk(path):
            with open(temporary_path, "xb") as file:
                mode = os.fstat(file.fileno()).st_mode
            yield temporary_path
        if os.stat(temporary_path).st_mode != mode:
            os.chmod(temporary_path, mode & 0o777)
        os.replace(temporary_path, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.remove(temporary_path)
        raise


@contextlib.contextmanager
def atomic_folder(path, needed=0):
    """Writes a folder beside its place and renames it when it is complete.

    It replaces an earlier folder, which stays as it was after an error.

    Arguments
    ---------
    path : str or Path
        The folder to write.
    needed : int
        Its size in bytes if it is known, see ``name_full_disk``.

    Yields
    ------
    temporary_path : str
        An empty folder to be filled instead.

    Raises
    ------
    NotADirectoryError
        If the path is a file.

    Example
    -------
    >>> path = getfixture("tmpdir") / "model"
    >>> with atomic_folder(path) as temporary_path:
    ...     write_json(f"{temporary_path}/config.json", {})
    >>> os.listdir(path)
    ['config.json']
    """
    path = os.path.realpath(path)
    if os.path.isfile(path):
        raise NotADirectoryError(f"{path} is a file, not a folder")
    temporary_path, earlier = _temporary(path), _temporary(path)
    try:
        with name_full_disk(path, needed):
            os.makedirs(temporary_path)
            yield temporary_path
        with contextlib.suppress(FileNotFoundError):
            os.rename(path, earlier)
        os.rename(temporary_path, path)
    except BaseException:
        shutil.rmtree(temporary_path, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.rename(earlier, path)
        raise
    shutil.rmtree(earlier, ignore_errors=True)


def _temporary(path):
    """A name beside the path that no other process uses."""
    return f"{os.fspath(path)}.{secrets.token_hex(4)}.tmp"


def file_sha256(path):
    """Computes the SHA-256 checksum of a file.

    Arguments
    ---------
    path : str
        The file, of any size.

    Returns
    -------
    str
        Hexadecimal digits.

    Example
    -------
    >>> path = getfixture("tmpdir") / "notes.txt"
    >>> path.write("complete")
    >>> file_sha256(path)[:8]
    'eebbf645'
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_digest(text):
    """Computes the SHA-1 checksum of a text.

    Arguments
    ---------
    text : str
        The text, which may be a file name that is not UTF-8.

    Returns
    -------
    str
        Hexadecimal digits.

    Example
    -------
    >>> text_digest("dog/1.wav")[:16]
    '3fa291799751c061'
    """
    return hashlib.sha1(text.encode("utf-8", "surrogateescape")).hexdigest()


def hash_fraction(text):
    """Maps a text to a number in [0, 1) that looks random but is fixed.

    Arguments
    ---------
    text : str
        Any text, such as the id of a clip.

    Returns
    -------
    float
        The first 32 bits of its SHA-1 checksum as a fraction.

    Example
    -------
    >>> hash_fraction("-0xzrMun0Rs")
    0.08879128703847528
    """
    return int(text_digest(text)[:8], 16) / 16**8


def clip_ids(paths):
    """Turns paths into ids that can all be names of files in one folder.

    An id is the path without its extension, in ASCII letters, digits, ``_`` and
    ``-``. A checksum of the path is added where ids would be equal (ignoring
    case) or are cut to 100 characters.

    Arguments
    ---------
    paths : iterable of str
        Relative paths of clips; duplicates count once.

    Returns
    -------
    dict
        From path to id.

    Example
    -------
    >>> list(clip_ids(["dog/1.wav", "dog/it barks!.wav", "dog 1.wav"]).values())
    ['dog_1-3fa291799751c061', 'dog_it_barks_', 'dog_1-a0600b84b6128e98']
    """
    stems = {path: os.path.splitext(path)[0] for path in paths}
    names = {p: re.sub("[^A-Za-z0-9_-]+|^-", "_", s) for p, s in stems.items()}
    count = Counter(name.lower() for name in names.values())
    for path, name in names.items():
        if count[name.lower()] > 1 or len(name) > MAX_ID:
            names[path] = f"{name[:MAX_ID]}-{text_digest(path)[:16]}"
    return names


def as_utf8(text):
    """Escapes what UTF-8 cannot encode, such as bytes of an odd file name.

    Arguments
    ---------
    text : str
        Any text.

    Returns
    -------
    str
        The text with backslash escapes instead.

    Example
    -------
    >>> print(as_utf8("bell\\udce9.wav"))
    bell\\udce9.wav
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def write_csv(path, header, rows):
    """Writes a table as a CSV file.

    Arguments
    ---------
    path : str or Path
        The file to write.
    header, rows : iterable
        Names of the columns, and the entries of each row.

    Example
    -------
    >>> path = getfixture("tmpdir") / "classes.csv"
    >>> write_csv(path, ("mid", "name"), [("/m/07y_7", "Violin, fiddle")])
    >>> path.read_text("utf-8")
    'mid,name\\n/m/07y_7,"Violin, fiddle"\\n'
    """
    with atomic_path(path) as temporary_path:
        with open(temporary_path, "w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([header, *rows])


def write_json(path, content):
    """Writes a JSON file.

    Arguments
    ---------
    path : str or Path
        The file to write.
    content : dict or list
        Its content.

    Example
    -------
    >>> path = getfixture("tmpdir") / "report.json"
    >>> write_json(path, {"written": 300})
    >>> json.loads(path.read_text("utf-8"))
    {'written': 300}
    """
    with atomic_path(path) as temporary_path:
        with open(temporary_path, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
