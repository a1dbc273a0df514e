"""Errors of a training in one line, with the traceback in its log.

Authors
 * The speechbrain_fftp authors 2026
"""

import logging
import os
import re
import sys
import traceback
from pathlib import Path

import hyperpyyaml

import speechbrain.core
from speechbrain.utils.distributed import if_main_process

logger = logging.getLogger(__name__)  # SpeechBrain's loggers skip DEBUG

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
    # To the file only: the terminal's level is INFO
    logger.debug("Exception:", exc_info=(kind, error, trace))
    message = _message(error, trace)
    if message is None or "--verbose" in sys.argv:
        traceback.print_exception(kind, error, trace)
    if message is not None:
        print(f"{program}: {message}", file=sys.stderr)


def _message(error, trace):
    """One line for an error that the package raises, None for another one."""
    if not isinstance(error, (ValueError, OSError, RuntimeError)):
        return None
    text, frame = str(error), traceback.extract_tb(trace)[-1]
    path, line = frame.filename, frame.line
    if "Original Traceback" in text:  # of a process that loads data
        frames = re.findall(r'\n  File "(.+?)", line .*\n *(.*)', text)
        path, line = frames[-1]
        text = re.split(r"\n\w+(?:\.\w+)*: ", text)[-1]
    place = Path(path).resolve()
    ours = not OURS.isdisjoint([place, *place.parents])
    of_file = isinstance(error, OSError) and error.filename is not None
    if of_file or (ours and line.startswith("raise ")):
        return " ".join(text.split())
    return None
