"""Finds files, and derives ids from their paths.

Authors
 * The speechbrain_fftp authors 2026
"""

import hashlib
import os
import posixpath
import re
from collections import Counter

from fftp_tag.audio.decode import AUDIO_EXTENSIONS
from fftp_tag.files import files_below, is_hidden

MAX_ID = 100  # maximum number of characters that an id keeps of a path


def text_digest(text):
    """SHA-1 checksum of a text, or of a file name that is no text."""
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


def folders_in(folder):
    """Sorted names of the folders in a folder that are not hidden."""
    with os.scandir(folder) as entries:
        found = [e.name for e in entries if e.is_dir()]
    return sorted(name for name in found if not is_hidden(name))


def audio_below(data_folder, name=""):
    """Paths from a data folder of its audio files, or of those in a folder."""
    return [
        posixpath.join(name, path)
        for path in files_below(os.path.join(data_folder, name))
        if path.lower().endswith(AUDIO_EXTENSIONS)
    ]
