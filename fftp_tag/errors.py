"""The error for invalid input, and messages of errors.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import os
import sys
from collections.abc import Iterator

DAMAGED = 3  # exit code: some files could be read in part only


class InputError(ValueError):
    """Invalid input of a user; the message names the problem and the remedy.

    Everything that a user can cause raises it, or an OSError. It is caught once,
    around a command or a recipe's main, and printed in one line; any other error
    is a bug.
    """


OF_INPUT: tuple[type[Exception], ...] = (InputError, OSError)


@contextlib.contextmanager
def one_line_errors(prefix: str = "") -> Iterator[None]:
    """Ends the process with one line and status 1 on invalid input or an OSError.

    For the main function of a command, around its body or as a decorator; other
    code raises errors.
    """
    try:
        yield
    except OF_INPUT as error:
        sys.exit(prefix + one_line(error))


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
