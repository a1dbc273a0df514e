"""Errors of a training in one line, with the traceback in its log.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import re
import sys
import traceback
from pathlib import Path

import hyperpyyaml

import speechbrain.core
from speechbrain.utils.distributed import if_main_process
from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)

# Files and folders in which errors are raised that say what to do.
OURS = {
    Path(path).resolve()
    for path in (
        Path(__file__).parents[1],
        Path(sys.argv[0]).parent,
        Path(hyperpyyaml.__file__).parent,
        speechbrain.core.__file__,
        speechbrain.utils.distributed.__file__,
    )
}


def report_error(kind, error, trace):
    """Prints an expected error in one line; a ``sys.excepthook``.

    The whole traceback goes to log.txt (once SpeechBrain has opened it) and,
    with ``--verbose`` or if the error is none of those that the package raises,
    to the terminal. An interrupted process exits with status 130.
    """
    program = os.path.basename(sys.argv[0])
    if issubclass(kind, KeyboardInterrupt):
        if if_main_process():
            print(
                f"\n{program}: interrupted. The same command resumes.",
                file=sys.stderr,
            )
        sys.exit(130)
    # Below the level of the terminal
    logger.debug(
        "Exception:", exc_info=(kind, error, trace), main_process_only=False
    )
    message = _message(error, trace)
    if message is None or "--verbose" in sys.argv:
        traceback.print_exception(kind, error, trace)
    if message is not None:
        print(f"{program}: {message}", file=sys.stderr)


def _message(error, trace):
    """One line for an error that the package raises, None for another one."""
    if not isinstance(error, (ValueError, OSError, RuntimeError)):
        return None
    raised_in, text = traceback.extract_tb(trace)[-1].filename, str(error)
    if "Original Traceback" in text:  # of a process that loads data
        raised_in = re.findall(r'\n  File "(.+?)", line', text)[-1]
        text = re.split(r"\n\w+(?:\.\w+)*: ", text)[-1]
    elif isinstance(error, OSError) and error.filename is not None:
        return " ".join(text.split())  # of a file, wherever it was opened
    place = Path(raised_in).resolve()
    known = not OURS.isdisjoint([place, *place.parents])
    return " ".join(text.split()) if known else None
