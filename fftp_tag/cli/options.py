"""Options that verbs of ``fftp-tag`` share.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import math
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO

from fftp_tag.cli import output
from fftp_tag.errors import InputError, one_line
from fftp_tag.model.sources import STARTER

if TYPE_CHECKING:
    from fftp_tag.search.index import SoundIndex
    from fftp_tag.tag.tagger import AudioTagger

MUCH = 10  # times the cost of tags, which is said before it begins


def number(kind: type, low: float, high: float = math.inf) -> Callable:
    """An argument type: numbers from ``low`` to ``high``."""
    name = "whole number" if kind is int else "number"
    limits = f"from {low:g}" + (f" to {high:g}" if high < math.inf else "")

    def convert(text: str) -> Any:
        """The value of an argument."""
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a {name} {limits}"
            )
        return value

    return convert


def add_model(
    parser: argparse.ArgumentParser,
    default: str | None = STARTER,
    required: bool = False,
    threads: int | None = None,
    several: bool = False,
) -> None:
    """Adds --model, of which there may be several, and --threads."""
    text = (
        "model.onnx, output folder of a training, such as results/demo, or "
        "published model, as a file, a folder or owner/name on the Hugging Face "
        "hub (see fftp-tag import)"
    )
    if default is not None:
        text += f" (default: {default}, which the package holds)"
    if several:
        text += "; if it is given again, the models are compared"
    parser.add_argument(
        "--model",
        metavar="MODEL",
        required=required,
        default=None if several else default,
        action="append" if several else "store",
        help=text,
    )
    parser.add_argument(
        "--threads",
        type=number(int, 1, 1024),
        metavar="N",
        default=threads,
        help="number of CPU threads (default: "
        f"{threads or 'chosen by ONNX Runtime'})",
    )


def add_windows(parser: argparse.ArgumentParser, window: str, hop: str) -> None:
    """Adds --window and --hop; the arguments describe their defaults."""
    parser.add_argument(
        "--window",
        type=number(float, 0.001),
        metavar="SECONDS",
        help=f"length of a window (default: {window})",
    )
    parser.add_argument(
        "--hop",
        type=number(float, 0.001),
        metavar="SECONDS",
        help=f"time from one window to the next (default: {hop})",
    )


def add_rules(parser: argparse.ArgumentParser) -> None:
    """Adds --threshold, --merge-gap and --min-duration."""
    parser.add_argument(
        "--threshold",
        type=number(float, 0, 1),
        metavar="P",
        help="minimum probability of a tag, and of an event at its highest; it "
        "may be lower before and after (default: the model's learnt thresholds; "
        "if it has none, 0.5 for events and 0 for tags)",
    )
    parser.add_argument(
        "--merge-gap",
        type=number(float, 0),
        metavar="SECONDS",
        help="join events of a class that are less than this apart (default: "
        "learnt by the model, or 0)",
    )
    parser.add_argument(
        "--min-duration",
        type=number(float, 0),
        metavar="SECONDS",
        help="then drop events that are shorter than this (default: learnt by "
        "the model, or 0)",
    )


def add_classes(parser: argparse.ArgumentParser) -> None:
    """Adds --labels, --not-labels and --thresholds."""
    parser.add_argument(
        "--labels",
        metavar="A,B",
        help="tags and events of these classes alone, which stand for their kinds "
        "in AudioSet's ontology, too (Dog for Bark)",
    )
    parser.add_argument(
        "--not-labels",
        metavar="A,B",
        help="no tags and events of these classes",
    )
    parser.add_argument(
        "--thresholds",
        metavar="FILE",
        help="a CSV file with the columns label and threshold, for some classes; "
        "others keep the model's, or 0.5",
    )


def add_background(parser: argparse.ArgumentParser) -> None:
    """Adds --background."""
    parser.add_argument(
        "--background",
        metavar="PATH",
        help="recording without any of the sounds, or folder of recordings",
    )


def given(args: argparse.Namespace, *names: str) -> dict[str, Any]:
    """The values of options by name, without those that were not given."""
    values = {name: getattr(args, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def load_tagger(args: argparse.Namespace) -> "AudioTagger":
    """Loads --model."""
    from fftp_tag.tag.tagger import AudioTagger

    return AudioTagger.from_pretrained(args.model, args.threads)


def load_selected(args: argparse.Namespace) -> "AudioTagger":
    """Loads --model, with the options of ``add_classes``."""
    tagger = load_tagger(args)
    if args.thresholds is not None and args.threshold is not None:
        raise InputError("give --threshold or --thresholds, not both")
    chosen: dict[str, Any] = {
        name: split_labels(text, tagger.labels)
        for name, text in given(args, "labels", "not_labels").items()
    }
    if args.thresholds is not None:
        chosen["thresholds"] = read_thresholds(args.thresholds)
    return tagger.select(**chosen) if chosen else tagger


def split_labels(text: str, labels: list[str]) -> list[str]:
    """Labels separated by commas, which they may have as well.

    Example
    -------
    >>> split_labels("Domestic animals, pets,Dog", ["Domestic animals, pets"])
    ['Domestic animals, pets', 'Dog']
    """
    words, found = text.split(","), []
    while words:
        sizes = range(len(words), 0, -1)
        names = [",".join(words[:size]).strip() for size in sizes]
        name = next((name for name in names if name in labels), names[-1])
        found.append(name)
        words = words[name.count(",") + 1 :]
    return found


def read_thresholds(path: str) -> dict[str, float]:
    """Reads the CSV file --thresholds."""
    from fftp_tag.data.tables import read_table

    found = {}
    for line, row in read_table(path, ("label", "threshold")):
        try:
            found[row["label"]] = number(float, 0, 1)(row["threshold"])
        except argparse.ArgumentTypeError as error:
            raise InputError(f"{path}, line {line}: {error}") from error
    return found


def standard_input() -> BinaryIO:
    """The stream of bytes that is piped to the command.

    Raises
    ------
    InputError
        If there is none.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise InputError("standard input is no stream: pipe something to it")
    return sys.stdin.buffer


def report_cost(args: argparse.Namespace, tagger: "AudioTagger") -> None:
    """Checks --window and --hop, and reports a timeline that costs much."""
    if tagger.model.is_frame_level:
        return
    info, rate = tagger.model.info, tagger.sample_rate
    windows = tagger.check_window(args.window, args.hop)
    cost = info.cost(windows)
    if cost > MUCH:
        padded = f", each padded to {tagger.max_seconds:g} s"
        output.report(
            f"windows of {windows.size / rate:g} s every {windows.hop / rate:g} "
            f"s{padded if info.fixed_length else ''}: this takes {cost:.0f} "
            "times as long as tags"
        )


def find_index(names: list[str]) -> "SoundIndex | None":
    """The index of ``fftp-tag index``, if it is the one file that is given.

    Raises
    ------
    InputError
        If the folder whose files are indexed is gone.
    """
    import os
    import zipfile

    name = names[0]
    if len(names) > 1 or not os.path.isfile(name):
        return None
    if not zipfile.is_zipfile(name):
        return None
    from fftp_tag.search.index import SoundIndex

    index = SoundIndex.load(name)
    if not os.path.isdir(index.settings.archive):
        raise InputError(
            f"{index.settings.archive}, the folder of {name}, is gone: update "
            "the index with fftp-tag index, or give a folder"
        )
    return index


def find_files(names: list[str]) -> tuple[list[str], int]:
    """Replaces each folder by the audio files below it, sorted.

    Returns the files, and how many folders have none, which are reported.

    Raises
    ------
    OSError
        If there are no files at all.
    """
    import os

    from fftp_tag.audio.decode import find_audio_files

    files: list[str] = []
    without: list[OSError] = []
    for name in names:
        if not os.path.isdir(name):
            files.append(name)
            continue
        try:
            found, unread = find_audio_files(name)
        except OSError as error:
            without.append(error)
            continue
        for reason in unread:
            output.report(f"warning: {one_line(reason)}")
        files += found
    if not files:
        raise without[0]
    for reason in without:
        output.report(one_line(reason))
    return files, len(without)
