"""Reports errors of a training run in one line; tracebacks go to its log.

Authors
 * The speechbrain_fftp authors 2026
"""

import _thread
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
SAYS_WHAT_TO_DO = (  # files and folders with such errors
    Path(__file__).parents[1],
    Path(sys.argv[0]).parent,
    Path(hyperpyyaml.__file__).parent,
    speechbrain.core.__file__,
    speechbrain.utils.distributed.__file__,
)


def report_errors():
    """Prints errors that the package raises in one line, not as a traceback.

    Tracebacks go to log.txt, once SpeechBrain has opened it; those of other
    errors, or with ``--verbose`` all, to the terminal too.
    """
    sys.excepthook, sys.unraisablehook = _report, _report_unraisable


def _report(kind, error, trace):
    """See ``report_errors``."""
    program, said = os.path.basename(sys.argv[0]), _message(error, trace)
    if issubclass(kind, KeyboardInterrupt):
        said = "interrupted. The same command resumes."
        if if_main_process():
            print(f"\n{program}: {said}", file=sys.stderr)
        sys.exit(130)
    # To the file only: the terminal's level is INFO
    logger.debug("Exception:", exc_info=(kind, error, trace))
    if said is None or "--verbose" in sys.argv:
        traceback.print_exception(kind, error, trace)
    if said is not None:
        print(f"{program}: {said}", file=sys.stderr)


def _report_unraisable(about):
    """Python ignores an interrupt while it forks: interrupts again."""
    if issubclass(about.exc_type, KeyboardInterrupt):
        _thread.interrupt_main()
    else:
        sys.__unraisablehook__(about)


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
    places = map(Path.resolve, map(Path, SAYS_WHAT_TO_DO))
    ours = any(map(Path(path).resolve().is_relative_to, places))
    of_file = isinstance(error, OSError) and error.filename is not None
    if of_file or (ours and line.startswith("raise ")):
        return " ".join(text.split())
    return None
