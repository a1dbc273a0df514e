"""The error for invalid input.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import sys
from typing import Iterator


class InputError(ValueError):
    """Invalid input of a user; the message names the problem and the remedy.

    Commands print it in one line; any other error is a bug.
    """


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """Ends the process with one line on invalid input or an OSError."""
    try:
        yield
    except (InputError, OSError) as error:
        sys.exit(str(error))
