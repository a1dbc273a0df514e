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


@contextlib.contextmanager
def name_full_disk(path, needed=0):
    """Turns errors of a full disk, or quota, into one that says how full it is.

    Arguments
    ---------
    path : str or Path
        What the block writes.
    needed : int
        Its size in bytes if it is known.

    Raises
    ------
    OSError
        If the block fails for that reason. Other errors stay as they are.

    Example
    -------
    >>> path = getfixture("tmpdir") / "model.ckpt"
    >>> with name_full_disk(path, needed=3 * 2**20):
    ...     raise OSError(errno.ENOSPC, "No space")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    OSError: ...model.ckpt cannot be written: it needs...
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
