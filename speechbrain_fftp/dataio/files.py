"""Files and folders that appear once complete, locks, and full disks.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import csv
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import time

from speechbrain.utils.logger import get_logger

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

logger = get_logger(__name__)

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
LITTLE = 2**20  # bytes: libraries fail with other errors when fewer are free
TEMPORARY = re.compile(r"\.[0-9a-f]{8}\.tmp$")  # the end of unfinished names


@contextlib.contextmanager
def name_full_disk(path, needed=0):
    """Turns errors of a full disk, or quota, into one that says how full it is.

    ``path`` is what the block writes, ``needed`` its size in bytes if known.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        if isinstance(error, OSError) and error.errno not in FULL:
            raise  # another error, or one that has this form already
        folder = os.path.dirname(os.path.abspath(path))
        free, cause = shutil.disk_usage(folder).free, error
        while cause is not None and getattr(cause, "errno", None) not in FULL:
            cause = cause.__cause__ or cause.__context__
        if cause is None and free > LITTLE:
            raise
        size = f"it needs {needed / 2**20:.1f} MiB and " if needed else ""
        raise OSError(
            f"{path} cannot be written: {size}{free / 2**20:.1f} MiB are free."
            f" Make room and start again. ({cause or error})"
        ) from error


@contextlib.contextmanager
def atomic_path(path):
    """Yields the name of a file that is renamed to ``path`` after the block.

    The name is unique, so several processes may write the same file. After an
    error, an earlier file stays as it was. The file gets the permissions of a
    new file (the umask), whatever its writer sets.
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
    """Yields an empty folder that is renamed to ``path`` after the block.

    It replaces an earlier folder, which stays as it was after an error. It may
    need ``needed`` bytes. A path that is a file is a NotADirectoryError.
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


@contextlib.contextmanager
def locked(folder, name, doing):
    """Holds the lock ``name`` in a folder, at most until the process ends.

    Processes forked meanwhile, such as those of a ``DataLoader``, do not hold
    it. If another process does, a RuntimeError says what it is ``doing``.
    """
    path = os.path.join(folder, name)
    while True:
        with open(path, "ab+", buffering=0) as file:
            _take_lock(file, folder, doing)
            try:
                if not os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                    continue
            except FileNotFoundError:  # its holder has just finished
                continue
            if fcntl is not None:
                os.register_at_fork(after_in_child=file.close)
            try:
                yield
            finally:
                with contextlib.suppress(OSError):
                    os.remove(path)
            return


def _take_lock(file, folder, doing):
    """Locks a file and writes who holds it; an error if another one does."""
    free, here = True, socket.gethostname()
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        free = False
    except OSError as error:  # a file system without locks
        logger.warning("%s cannot be locked: %s", folder, error)
    file.seek(0)
    holder = file.read().decode("utf-8", "replace").splitlines()
    host, pid, since, *_ = [*holder, "?", "?", "?"]
    advice = "Wait for it to finish, or give another folder"
    if free and host not in ("?", here):  # some locks are of one host only
        free = False
        advice += f". If that process no longer runs, delete {file.name}"
    if not free:
        holder = f"process {pid} on {host} since {since}"
        raise RuntimeError(f"{folder} is {doing} by {holder}. {advice}.")
    now = time.strftime("%Y-%m-%d %H:%M:%S %z")
    with contextlib.suppress(OSError):  # the lock holds on a full disk, too
        file.truncate(0)
        file.write(f"{here}\n{os.getpid()}\n{now}\n".encode())


def _temporary(path):
    """A name beside the path that no other process uses."""
    return f"{os.fspath(path)}.{secrets.token_hex(4)}.tmp"


def file_sha256(path):
    """The SHA-256 checksum of a file of any size, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_csv(path, header, rows):
    """Writes the names of columns, and rows, as a CSV file."""
    with atomic_path(path) as temporary_path:
        with open(temporary_path, "w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([header, *rows])


def write_json(path, content, strict=False):
    """Writes a JSON file; ``strict`` makes NaN, which JSON lacks, null."""
    if strict:
        content = json.loads(json.dumps(content), parse_constant=lambda _: None)
    with atomic_path(path) as temporary_path:
        with open(temporary_path, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
