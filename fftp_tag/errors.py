"""Formats errors as one line of text.

Authors
 * The speechbrain_fftp authors 2026
"""

import os


def one_line(error: Exception) -> str:
    """The message of an error in one line, with the name of the file.

    Example
    -------
    >>> one_line(PermissionError(13, "Permission denied", "a.wav"))
    'a.wav: Permission denied'
    """
    text = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
        if error.filename is not None:
            text = f"{os.fsdecode(error.filename)}: {text}"
    return " ".join(text.split())
