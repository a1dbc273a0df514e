"""The error for invalid input.

Authors
 * The speechbrain_fftp authors 2026
"""


class InputError(ValueError):
    """Invalid input of a user; the message names the problem and the remedy.

    Commands print it in one line; any other error is a bug.
    """
