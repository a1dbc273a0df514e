"""A lock on a folder that one process at a time may write.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import os
import socket
import time

from speechbrain.utils.logger import get_logger

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

logger = get_logger(__name__)


@contextlib.contextmanager
def _locked(folder, name, doing):
    """Holds the lock ``name`` in a folder, until the process ends at the latest.

    Processes forked meanwhile, such as those of a ``DataLoader``, do not hold
    it: it is free as soon as this process is killed. If another process holds
    it, a RuntimeError names that process and what it is ``doing``.
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
    """Locks a file and writes who holds it; an error if another process does."""
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
