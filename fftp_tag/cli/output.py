"""Output formats and messages of ``fftp-tag``.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import csv
import json
import logging
import os
import re
import sys
import warnings
from typing import (
    TYPE_CHECKING,
    Any,
    ContextManager,
    Dict,
    Iterator,
    List,
    Optional,
    Sequence,
)

if TYPE_CHECKING:
    from fftp_tag.score.background import Background

FORMATS = ("table", "json", "jsonl", "csv", "audacity")
DIGITS = 4  # of numbers in csv and json
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # characters that do something


def rounded(value: Any) -> Any:
    """Rounds the numbers in a JSON value, for csv and json."""
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, dict):
        return {name: rounded(item) for name, item in value.items()}
    return value


def cell(text: str) -> str:
    """A text for csv: spreadsheets must not take it for a formula.

    See https://owasp.org/www-community/attacks/CSV_Injection.

    Example
    -------
    >>> cell("=1+1"), cell("a.wav")
    ("'=1+1", 'a.wav')
    """
    return f"'{text}" if text.startswith(tuple("=+-@\t\r")) else text


def printable(text: str) -> str:
    """A text for a terminal, which must not obey a name of a file.

    Example
    -------
    >>> printable("a\\x1b[2J.wav")
    'a\\\\x1b[2J.wav'
    """
    return CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


class Output:
    """Prints the tags or events of files in one of ``FORMATS``.

    A table shows ``thresholds``, by label, if they are given.
    """

    def __init__(
        self,
        output_format: str,
        timeline: bool,
        thresholds: Optional[Dict[str, float]] = None,
    ):
        self.output_format = output_format
        self.timeline = timeline
        self.thresholds = thresholds
        self.results: List[dict] = []  # printed at the end, for json
        self.table = csv.writer(sys.stdout, lineterminator="\n")
        if output_format == "csv":
            times = ["start", "end"] if timeline else []
            self.table.writerow(["file", *times, "label", "probability"])

    def add(
        self, file: str, found: Sequence, error: Optional[str] = None
    ) -> None:
        """Prints the tags or events of a file, or keeps them for ``close``.

        json and jsonl have the error of a file in their place. With a timeline,
        jsonl has a line per event, else per file.
        """
        rows = [rounded(item.to_dict()) for item in found]
        result: dict = {"file": file}
        if error is not None:
            result["error"] = error
        else:
            result["events" if self.timeline else "tags"] = rows
        if self.output_format == "json":
            self.results.append(result)
        elif self.output_format == "jsonl" and self.timeline and error is None:
            for event in found:
                self.add_event(file, event)
        elif self.output_format == "jsonl":
            print(json.dumps(result, allow_nan=False))
        elif error is not None:
            return
        elif self.output_format == "csv":
            for row in rows:
                row["label"] = cell(row["label"])
                self.table.writerow([cell(file), *row.values()])
        elif self.output_format == "audacity":
            for event in found:
                label = " ".join(event.label.split())
                print(f"{event.start:.6f}\t{event.end:.6f}\t{label}")
        else:
            print(printable(file))
            if not found:
                print("  no events" if self.timeline else "  no tags")
            for item in found:
                print(self.line(item))
        sys.stdout.flush()

    def add_event(self, file: str, event: Any) -> None:
        """Prints an event as a line of jsonl."""
        row = {"file": file, **rounded(event.to_dict())}
        print(json.dumps(row, allow_nan=False), flush=True)

    def line(self, item: Any) -> str:
        """The line of a tag or an event in a table."""
        line = f"  {item.probability:.3f}  {item.label}"
        if self.timeline:
            line = f"{item.start:9.2f} {item.end:9.2f}{line}"
        if self.thresholds is not None:
            line += f"  (threshold {self.thresholds[item.label]:.3f})"
        return line

    def close(self) -> None:
        """Prints the results that were kept."""
        if self.output_format == "json":
            print(json.dumps(self.results, indent=2, allow_nan=False))


def print_false_alarms(background: "Background", names: Dict[str, str]) -> None:
    """Prints false alarms; ``names`` has the classes to print, by label."""
    seconds, silent = background.seconds, background.silent_seconds
    if silent > 0:
        print(
            f"{silent / 60:.1f} minutes of background are digital silence, "
            "which is no evidence: they are not counted"
        )
    if seconds == 0:
        print("false alarms cannot be counted: give other background")
        return
    print(
        f"false alarms in {seconds / 60:.1f} minutes of background, with upper "
        "bounds (95 %) for recordings like these:"
    )
    rows = {name: background.of_classes[label] for label, name in names.items()}
    rows["all classes together"] = background.together
    for name, found in rows.items():
        print(
            f"{found.count:5d}, at most {found.at_most:.1f} an hour, "
            f"{100 * found.share:.1f} % of the time  {name}"
        )


def above_bars() -> ContextManager[None]:
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
