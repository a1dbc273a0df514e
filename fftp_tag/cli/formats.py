"""Output formats: a row of ``FORMATS`` and a function for each of ``tag``'s.

Those of ``find`` are made of the same rows.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from fftp_tag.cli.output import printable, rounded
from fftp_tag.data.tables import cells

if TYPE_CHECKING:
    from fftp_tag.audio.decode import DamagedAudio

RAVEN_COLUMNS = (
    "Selection",
    "View",
    "Channel",
    "Begin Time (s)",
    "End Time (s)",
    "Low Freq (Hz)",
    "High Freq (Hz)",
    "Label",
    "Probability",
)


class Result(NamedTuple):
    """The tags or events of a file, or the reason why there are none."""

    file: str
    found: Sequence[Any]  # of Tag or Event
    error: str | None = None
    best: Sequence[Any] = ()  # the most probable class, a tag or not
    damage: "DamagedAudio | None" = None  # of a file that was read in part


class Context(NamedTuple):
    """What formats need to know beside the results."""

    timeline: bool  # whether the results are events
    thresholds: dict[str, float]  # of the model, by label
    show_thresholds: bool  # in tables
    sample_rate: int  # of the model, in Hz


def rows_as_json(rows: list[dict[str, Any]], stream: TextIO) -> None:
    """One list."""
    print(json.dumps(rows, indent=2, allow_nan=False), file=stream)


def rows_as_csv(
    columns: Iterable[str], rows: Iterable[Iterable[Any]], stream: TextIO
) -> None:
    """A header and rows."""
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(columns)
    table.writerows(map(cells, rows))


def write_table(
    results: Iterable[Result], stream: TextIO, context: Context
) -> None:
    """For people: the name of each file, and below it its tags or events."""
    for result in results:
        if result.error is not None:
            continue
        print(printable(result.file), file=stream)
        if result.damage is not None:
            print(f"  {result.damage}", file=stream)
        start = ""
        if not result.found and result.best:
            start = "  none reaches its threshold; most probable:"
        elif not result.found:
            print(
                f"  no {'events' if context.timeline else 'tags'}", file=stream
            )
        for item in result.found or result.best:
            line = f"{start}  {item.probability:.3f}  {item.label}"
            if context.timeline:
                line = f"{item.start:9.2f} {item.end:9.2f}{line}"
            if context.show_thresholds:
                line += f"  (threshold {context.thresholds[item.label]:.3f})"
            print(line, file=stream)


def write_json(
    results: Iterable[Result], stream: TextIO, context: Context
) -> None:
    """One list of all files, each with its tags, its events or its error."""
    key = "events" if context.timeline else "tags"
    rows = []
    for result in results:
        row: dict[str, Any] = {"file": result.file}
        if result.error is None:
            row[key] = [rounded(item.to_dict()) for item in result.found]
        else:
            row["error"] = result.error
        if result.damage is not None:
            row |= rounded(result.damage.to_dict())
        rows.append(row)
    rows_as_json(rows, stream)


def write_csv(
    results: Iterable[Result], stream: TextIO, context: Context
) -> None:
    """A row for each event or tag, which may be below the model's threshold.

    A file without any has one row: without a label and, if it failed, with the
    error. What is read and stated is empty unless a file is damaged.
    """
    columns = ["file", "label", "probability", "reaches_threshold"]
    if context.timeline:
        columns = ["file", "start", "end", "label", "probability"]
    of_file = ["seconds_read", "seconds_stated", "error"]

    def rows() -> Iterator[list[Any]]:
        """Yields the rows of all files."""
        for result in results:
            seconds: list[Any] = ["", ""]
            if result.damage is not None:
                seconds = [*rounded(result.damage.to_dict()).values()]
            for item in result.found:
                row = [result.file, *rounded(item.to_dict()).values()]
                if not context.timeline:
                    threshold = context.thresholds[item.label]
                    row.append(item.probability >= threshold)
                yield [*row, *seconds, ""]
            if not result.found:
                empty = [""] * (len(columns) - 1)
                yield [result.file, *empty, *seconds, result.error or ""]

    rows_as_csv([*columns, *of_file], rows(), stream)


def write_audacity(
    results: Iterable[Result], stream: TextIO, context: Context
) -> None:
    """A label track for Audacity."""
    for result in results:
        for event in result.found:
            times = f"{event.start:.6f}\t{event.end:.6f}"
            print(f"{times}\t{event.label}", file=stream)


def write_raven(
    results: Iterable[Result], stream: TextIO, context: Context
) -> None:
    """A selection table for Raven, whose selections have all frequencies."""
    table = csv.writer(stream, delimiter="\t", lineterminator="\n")
    table.writerow(RAVEN_COLUMNS)
    for result in results:
        for number, event in enumerate(result.found, 1):
            table.writerow(
                [
                    number,
                    "Spectrogram 1",
                    1,
                    f"{event.start:.6f}",
                    f"{event.end:.6f}",
                    0,
                    context.sample_rate / 2,
                    event.label,
                    f"{event.probability:.4f}",
                ]
            )


class Format(NamedTuple):
    """A row of ``FORMATS``."""

    write: Callable[[Iterable[Result], TextIO, Context], None]
    extension: str  # of the files in the folder of --output
    events_of_one_file: bool = False  # instead of tags or events of any files


FORMATS = {
    "table": Format(write_table, ".txt"),
    "json": Format(write_json, ".json"),
    "csv": Format(write_csv, ".csv"),
    "audacity": Format(write_audacity, ".txt", events_of_one_file=True),
    "raven": Format(write_raven, ".selections.txt", events_of_one_file=True),
}
