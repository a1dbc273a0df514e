"""Errors of a full disk, which name the folder and the space that is left.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import errno
import os
import shutil

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
LITTLE = 2**20  # bytes: libraries fail with other errors when fewer are free


class FullDiskError(OSError):
    """A file cannot be written as the disk, or the user's quota, is full."""


@contextlib.contextmanager
def name_full_disk(path, needed=0):
    """Turns errors of a full disk into one that says where and how full.

    Arguments
    ---------
    path : str or Path
        What the block writes.
    needed : int
        Its size in bytes if it is known.

    Yields
    ------
    None

    Raises
    ------
    FullDiskError
        If the block fails for that reason. Other errors stay as they are.

    Example
    -------
    >>> path = getfixture("tmpdir") / "model.ckpt"
    >>> with name_full_disk(path, needed=3 * 2**20):
    ...     raise OSError(errno.ENOSPC, "No space")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    speechbrain_fftp...FullDiskError: ...model.ckpt cannot be written: it needs...
    """
    try:
        yield
    except FullDiskError:
        raise
    except (OSError, RuntimeError) as error:
        folder = os.path.dirname(os.path.abspath(path))
        free, cause = shutil.disk_usage(folder).free, error
        while cause is not None and getattr(cause, "errno", None) not in FULL:
            cause = cause.__cause__ or cause.__context__
        if cause is None and (isinstance(error, OSError) or free > LITTLE):
            raise
        size = f"it needs {needed / 2**20:.1f} MiB and " if needed else ""
        raise FullDiskError(
            f"{path} cannot be written: {size}{free / 2**20:.1f} MiB are free."
            f" Make room and start again. ({cause or error})"
        ) from error
