"""Numbers, texts and messages that ``fftp-tag`` prints.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fftp_tag.score.background import Background

DIGITS = 4  # of numbers in csv and json
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # characters that do something


def rounded(value: Any) -> Any:
    """Rounds the numbers in a JSON value, for csv and json."""
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, dict):
        return {name: rounded(item) for name, item in value.items()}
    return value


def printable(text: str) -> str:
    """A text for a terminal, which must not obey a name of a file.

    Example
    -------
    >>> printable("a\\x1b[2J.wav")
    'a\\\\x1b[2J.wav'
    """
    return CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def print_false_alarms(background: "Background") -> None:
    """Prints false alarms, of all classes and of those that have some."""
    seconds, silent = background.seconds, background.silent_seconds
    if silent > 0:
        print(
            f"{silent / 60:.1f} minutes of background are digital silence, "
            "which is no evidence: they are not counted"
        )
    if background.repeated_seconds > 0:
        print(
            f"{background.repeated_seconds / 60:.1f} minutes of background repeat "
            "earlier ones: they are not counted"
        )
    if seconds == 0:
        print("false alarms cannot be counted: give other background")
        return
    print(
        f"false alarms in {seconds / 60:.1f} minutes of background, with upper "
        "bounds (95 %) for recordings like these:"
    )
    rows = {label: x for label, x in background.of_classes.items() if x.count}
    rows["all classes together"] = background.together
    for name, found in rows.items():
        print(f"{found.count:5d}, at most {found.at_most:.1f} an hour  {name}")


def above_bars() -> contextlib.AbstractContextManager[None]:
    """A context in which lines are printed above progress bars."""
    if "tqdm" in sys.modules:  # else there are none; its import takes long
        return sys.modules["tqdm"].tqdm.external_write_mode()
    return contextlib.nullcontext()


def report(text: str) -> None:
    """Prints a text on standard error."""
    with above_bars():
        print(f"fftp-tag: {printable(text)}", file=sys.stderr)


def discard_standard_output() -> None:
    """Drops what is left to print, so that the flush at exit succeeds."""
    with contextlib.suppress(OSError):  # without a file descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Reporter(logging.Handler):
    """Prints messages of loggers."""

    def emit(self, record: logging.LogRecord) -> None:
        """Prints a record."""
        is_warning = record.levelno >= logging.WARNING
        report(("warning: " if is_warning else "") + record.getMessage())


@contextlib.contextmanager
def shown_messages() -> Iterator[None]:
    """Prints messages of this project, and no warnings of other packages."""
    handler = Reporter()
    loggers = [logging.getLogger(x) for x in ("fftp_tag", "speechbrain_fftp")]
    for logger in loggers:
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger in loggers:
            logger.setLevel(logging.NOTSET)
            logger.removeHandler(handler)
