"""Formats errors and numbers in messages.

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
        name = error.filename2 or error.filename  # the copy, or the file
        if name is not None:
            text = f"{os.fsdecode(name)}: {text}"
    return " ".join(text.split())


def counted(count: int, noun: str) -> str:
    """A number of things.

    Example
    -------
    >>> counted(1, "clip"), counted(2, "clip")
    ('1 clip', '2 clips')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
