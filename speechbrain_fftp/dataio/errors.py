"""The error of wrong input.

Authors
 * The speechbrain_fftp authors 2026
"""


class InputError(ValueError):
    """What a user gave is wrong: the message says what, and what to do.

    Commands print it in one line; any other error is a bug.
    """
