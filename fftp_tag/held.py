"""What lasts is written by one command at a time: an index, a folder of results
or of answers.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import datetime
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from fftp_tag.errors import InputError
from fftp_tag.files import PathLike

LOCK = ".lock"  # in a folder


@contextlib.contextmanager
def held(lock: PathLike, wait: float = 0.5) -> Iterator[None]:
    """Holds a file that names this process, and removes it after the block.

    The system lets go of it when a process is killed. Its folder is made if it is
    missing, and removed if it stays empty.

    Arguments
    ---------
    lock : str
        The file.
    wait : float
        Seconds to wait for a process that ends.

    Raises
    ------
    InputError
        If another process holds it.
    """
    from filelock import FileLock, Timeout

    path = Path(lock)
    is_new = not path.parent.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    file = FileLock(path)
    try:
        file.acquire(wait)
    except Timeout:
        holder = ""
        with contextlib.suppress(OSError):
            holder = path.read_text("utf-8", "replace").strip()
        raise InputError(
            f"{path} is held by {holder or 'another process'}: wait for its "
            "end, or give another --output"
        ) from None
    try:
        with contextlib.suppress(OSError):  # of systems that lock the content
            path.write_text(
                f"process {os.getpid()} on {platform.node()}, since "
                f"{datetime.datetime.now():%Y-%m-%d %H:%M:%S}\n",
                "utf-8",
            )
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
            if is_new:
                path.parent.rmdir()
        file.release()
