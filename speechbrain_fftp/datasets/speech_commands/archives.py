"""Unpacking of tar.gz archives, whose members may claim any path.

Authors
 * The speechbrain_fftp authors 2026
"""

import gzip
import os
import tarfile
import zlib
from pathlib import PureWindowsPath

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.files import _atomic_folder

logger = get_logger(__name__)

ARCHIVE_EXTENSIONS = (".tar.gz", ".tgz")
BLOCK_SIZE = 2**20
DAMAGES = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError)


def is_archive(path):
    """Whether a path is named like a tar.gz archive, and is no folder."""
    is_named = str(path).lower().endswith(ARCHIVE_EXTENSIONS)
    return is_named and not os.path.isdir(path)


def unpack_archive(archive, folder):
    """Unpacks a tar.gz archive into a folder, unless that exists already.

    Returns where the data are: the folder, or the only folder in it if that one
    has folders. Raises a ``ValueError``, and leaves no folder, if the archive
    is damaged or a member is a link or has a path outside of the folder.
    """
    if not os.path.isdir(folder):
        logger.info("Unpacking %s to %s", archive, folder)
        with _atomic_folder(folder) as partial:
            _unpack(archive, partial)
    entries = [e for e in os.scandir(folder) if not e.name.startswith(".")]
    if len(entries) == 1 and entries[0].is_dir():
        if any(entry.is_dir() for entry in os.scandir(entries[0].path)):
            return entries[0].path
    return folder


def _unpack(archive, folder):
    """Unpacks all members; an error names the one that cannot be."""
    where = "at its start"
    try:
        with gzip.open(archive) as raw:
            with tarfile.open(fileobj=raw, mode="r:") as tar:
                for member in tar:
                    where = f"at the member {member.name!r}"
                    _check_member(member)
                    tar.extract(member, folder, filter="data")
                end = tar.offset
            where = where.replace("at", "after", 1)
            _check_end(raw, end)
    except DAMAGES as error:
        raise ValueError(
            f"{archive} cannot be unpacked, {where}:"
            f" {str(error) or type(error).__name__}. Nothing was kept; download"
            " the archive again."
        )


def _check_member(member):
    """Refuses members other than files and folders within the archive."""
    path = PureWindowsPath(member.name)
    if path.drive or path.root:
        raise ValueError("its path is absolute")
    if ".." in path.parts:
        raise ValueError("its path leads out of the folder")
    if not (member.isfile() or member.isdir()):
        raise ValueError("it is a link or a device, not a file or a folder")


def _check_end(raw, end):
    """Checks the end mark, since tarfile also stops quietly at damage."""
    raw.seek(end)
    if len(block := raw.read(BLOCK_SIZE)) < 512:
        raise ValueError("the archive is truncated")
    while block:
        if block.strip(b"\0"):
            raise ValueError("the archive is damaged")
        block = raw.read(BLOCK_SIZE)
