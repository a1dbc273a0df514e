"""Messages of ``fftp-tag`` on standard error, one line each.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import logging
import os
import sys
import traceback
import warnings

# Reported without a traceback: missing packages, missing or damaged files,
# unsuitable options or devices.
EXPECTED_ERRORS = (ImportError, MemoryError, OSError, RuntimeError, ValueError)


def one_line(error):
    """An error, or its message, as one line of text."""
    text = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
        if error.filename is not None:
            text = f"{os.fsdecode(error.filename)}: {text}"
    return " ".join(line.strip() for line in text.splitlines())


def report(error, verbose=False):
    """Prints an error, or a text, on standard error, above progress bars."""
    from tqdm import tqdm

    try:
        with tqdm.external_write_mode():
            if verbose and isinstance(error, Exception):
                traceback.print_exception(error)
            print(f"fftp-tag: {one_line(error)}", file=sys.stderr)
    except OSError:
        discard(sys.stderr)


@contextlib.contextmanager
def standard_output():
    """Flushes standard output, and names it in an OSError."""
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard output") from error


def discard(stream):
    """Drops what is left for a stream, so that the flush at exit succeeds."""
    with contextlib.suppress(OSError):  # it has no descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextlib.contextmanager
def logged_warnings(show, is_own=lambda record: True):
    """Passes this package's logged warnings to a function, if they are own."""
    handler = logging.Handler(logging.WARNING)
    handler.addFilter(logging.Filter("speechbrain_fftp"))
    handler.addFilter(is_own)
    handler.emit = lambda record: show(record.getMessage())
    logging.root.addHandler(handler)
    try:
        yield
    finally:
        logging.root.removeHandler(handler)


@contextlib.contextmanager
def shown_warnings(verbose):
    """Prints this package's warnings; those of others only if verbose."""
    shown = logged_warnings(lambda text: report(f"warning: {text}"))
    with shown, warnings.catch_warnings():
        if not verbose:
            warnings.simplefilter("ignore")
        yield
