"""Unpacking of archives, whose members may claim any place.

Authors
 * The speechbrain_fftp authors 2026
"""

import gzip
import json
import os
import shutil
import tarfile
import zlib
from pathlib import PureWindowsPath

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.files import write_json

logger = get_logger(__name__)

ARCHIVES = (".tar.gz", ".tgz")
MARK = ".archive.json"
BLOCK = 2**20


def is_archive(path):
    """Whether a path is named like an archive that ``unpack_archive`` takes.

    Arguments
    ---------
    path : str
        The path; a folder is no archive, whatever its name.

    Returns
    -------
    bool
        Whether it is.

    Example
    -------
    >>> is_archive("speech_commands_v0.02.tar.gz"), is_archive("data")
    (True, False)
    """
    is_named = str(path).lower().endswith(ARCHIVES)
    return is_named and not os.path.isdir(path)


def unpack_archive(archive, folder):
    """Unpacks a tar.gz archive, but only once.

    The folder appears when all is unpacked. An archive that was unpacked may
    be deleted.

    Arguments
    ---------
    archive : str
        The archive. Its members have to be files and folders within it.
    folder : str
        Where to unpack it. Its name with ``.partial`` is used on the way.

    Returns
    -------
    str
        Where the content lies: the folder or, if there is nothing in it but
        one folder of folders, that one.

    Raises
    ------
    FileNotFoundError
        If there is no such archive.
    ValueError
        If the archive is damaged or has a member that may not be unpacked;
        nothing is left of it then. Or if the folder holds something else.

    Example
    -------
    >>> folder = getfixture("tmpdir")
    >>> folder.join("yes", "1.wav").ensure().check()
    True
    >>> with tarfile.open(folder / "words.tar.gz", "w:gz") as tar:
    ...     tar.add(folder / "yes", "yes")
    >>> content = unpack_archive(folder / "words.tar.gz", folder / "unpacked")
    >>> os.listdir(os.path.join(content, "yes"))
    ['1.wav']
    """
    archive, folder = os.path.abspath(archive), os.path.abspath(folder)
    about = {"archive": archive}
    if os.path.isfile(archive):
        about["bytes"] = os.path.getsize(archive)
    if os.path.isdir(folder):
        path = os.path.join(folder, MARK)
        if not os.path.isfile(path):
            raise ValueError(
                f"{folder} holds something else than what {archive} does: give"
                " another save folder, or take it away"
            )
        with open(path, encoding="utf-8") as file:
            recorded = json.load(file)
        if {**recorded, **about} == recorded:
            return _content(folder)
    if len(about) == 1:
        raise FileNotFoundError(f"There is no archive {archive}")

    logger.info("Unpacking %s to %s", archive, folder)
    partial = f"{folder}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    os.makedirs(partial)
    try:
        _unpack(archive, partial)
        write_json(os.path.join(partial, MARK), about)
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(partial, folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return _content(folder)


def _content(folder):
    """The folder, or the only one in it if that one has folders."""
    entries = [e for e in os.scandir(folder) if not e.name.startswith(".")]
    if len(entries) == 1 and entries[0].is_dir():
        if any(entry.is_dir() for entry in os.scandir(entries[0].path)):
            return entries[0].path
    return folder


def _unpack(archive, folder):
    """Unpacks all members, or says which one cannot be."""
    where = "its beginning"
    try:
        with gzip.open(archive) as raw:
            with tarfile.open(fileobj=raw, mode="r:") as tar:
                for member in tar:
                    where = f"the member {member.name!r}"
                    _check_member(member)
                    tar.extract(member, folder, filter="data")
                end = tar.offset
            where = f"what follows {where}"
            _check_end(raw, end)
    except (
        tarfile.TarError,
        EOFError,
        gzip.BadGzipFile,
        zlib.error,
        ValueError,
    ) as error:
        raise ValueError(
            f"{archive} cannot be unpacked, because of {where}:"
            f" {str(error) or type(error).__name__}. Nothing of it was kept;"
            " get the archive anew from where it is published."
        )


def _check_member(member):
    """Refuses what is not a file or a folder within the archive."""
    path = PureWindowsPath(member.name)
    if path.drive or path.root:
        raise ValueError("its path is absolute")
    if ".." in path.parts:
        raise ValueError("its path leads out of the folder")
    if not (member.isfile() or member.isdir()):
        raise ValueError("it is a link or a device, not a file or a folder")


def _check_end(raw, end):
    """Makes sure of the mark at the end: tarfile stops at damage as well."""
    raw.seek(end)
    block = raw.read(BLOCK)
    if len(block) < 512:
        raise ValueError("the archive is truncated")
    while block:
        if block.strip(b"\0"):
            raise ValueError("the archive is damaged")
        block = raw.read(BLOCK)
