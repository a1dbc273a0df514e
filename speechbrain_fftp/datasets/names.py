"""Paths, and ids and random numbers that are derived from names.

Authors
 * The speechbrain_fftp authors 2026
"""

import hashlib
import os
import posixpath
import re
from collections import Counter

import numpy as np

MAX_ID = 100  # maximum number of characters that an id keeps of a path
PREPARED = "prepared.json"  # in a prepared folder


def text_digest(text):
    """SHA-1 checksum of a text, or of a file name that is not UTF-8."""
    return hashlib.sha1(text.encode("utf-8", "surrogateescape")).hexdigest()


def clip_ids(paths):
    """Maps paths to ids that are valid, distinct file names.

    An id is the path without its extension, in ASCII letters, digits, ``_`` and
    ``-``. A checksum of the path is added where ids would be equal (ignoring
    case) or are cut to 100 characters.
    """
    names = {path: possible_ids(path)[0] for path in paths}
    count = Counter(name.lower() for name in names.values())
    for path, name in names.items():
        if count[name.lower()] > 1 or len(name) > MAX_ID:
            names[path] = possible_ids(path)[1]
    return names


def possible_ids(path):
    """The ids without and with a checksum that ``clip_ids`` may give a path."""
    name = re.sub("[^A-Za-z0-9_-]+|^-", "_", os.path.splitext(path)[0])
    return name, f"{name[:MAX_ID]}-{text_digest(path)[:16]}"


def hash_fraction(text):
    """A pseudo-random number in [0, 1): 32 bits of the text's checksum."""
    return int(text_digest(text)[:8], 16) / 16**8


def seeded_rng(*key):
    """A random generator seeded by a key."""
    digest = hashlib.sha1("/".join(map(str, key)).encode()).digest()
    return np.random.default_rng(list(digest))


def files_below(folder, root):
    """Yields the files below a folder, as paths from a root with ``/``.

    Links are followed. Hidden files and folders, and prepared folders, are
    skipped.
    """
    seen = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        stat = os.stat(place)
        if (stat.st_dev, stat.st_ino) in seen or PREPARED in files:
            folders.clear()
            continue
        seen.add((stat.st_dev, stat.st_ino))
        folders[:] = sorted(f for f in folders if not is_hidden(f))
        place = os.path.relpath(place, root).replace(os.sep, "/")
        for name in sorted(files):
            if not is_hidden(name):
                yield posixpath.normpath(f"{place}/{name}")


def folders_in(folder):
    """Sorted names of the folders in a folder that are not hidden."""
    with os.scandir(folder) as entries:
        found = [e.name for e in entries if e.is_dir()]
    return sorted(name for name in found if not is_hidden(name))


def is_hidden(name):
    """Whether a file or folder is hidden, by its name.

    This includes the folder ``__MACOSX`` in archives made on a Mac.
    """
    return name.startswith(".") or name == "__MACOSX"


def as_utf8(text):
    """Escapes characters that UTF-8 cannot encode, as in odd file names."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
