"""The error for invalid input.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import sys
from typing import Iterator, Tuple, Type


class InputError(ValueError):
    """Invalid input of a user; the message names the problem and the remedy.

    Commands print it in one line; any other error is a bug.
    """


@contextlib.contextmanager
def one_line_errors(*others: Type[Exception]) -> Iterator[None]:
    """Ends the process with one line on invalid input or an OSError.

    And on other types of errors, where these are known to be of the input.
    """
    of_input: Tuple[Type[Exception], ...] = (InputError, OSError, *others)
    try:
        yield
    except of_input as error:
        sys.exit(str(error))
