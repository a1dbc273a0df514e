"""Cuts clips from an archive.

Authors
 * The speechbrain_fftp authors 2026
"""

import errno
import os
from pathlib import Path

from fftp_tag.audio.pieces import FilePiece, read_wav
from fftp_tag.errors import InputError
from fftp_tag.files import atomic_path, is_unchanged

UPDATE = "update the index with fftp-tag index"  # if files have changed


def cut_clip(part: FilePiece, identity: str, clip: str) -> None:
    """Writes a part of a file as a new mono WAV file, at the file's rate.

    Raises
    ------
    InputError
        If the file has changed or is gone since it was indexed.
    OSError
        If there is such a clip already, or it cannot be written.
    """
    if not is_unchanged(part.path, identity):
        raise InputError(f"{part.path} has changed or is gone: {UPDATE}")
    content = read_wav(part, "FLOAT")
    if os.path.exists(clip):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), clip)
    with atomic_path(clip) as temporary:
        Path(temporary).write_bytes(content)
