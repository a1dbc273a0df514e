"""Input files, output formats and messages of ``fftp-tag``.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import csv
import json
import logging
import os
import sys
import traceback
import warnings

OUTPUT_FORMATS = ("table", "json", "jsonl", "csv", "audacity")
# Reported in one line: missing packages, missing or damaged files, unsuitable
# options or devices.
EXPECTED_ERRORS = (ImportError, MemoryError, OSError, RuntimeError, ValueError)


def find_files(names):
    """Replaces folders by the audio files below them, which are sorted.

    Returns the files, and folders that cannot be read or have no audio files,
    each with its error.
    """
    from speechbrain_fftp.dataio.audio import AUDIO_EXTENSIONS, find_audio_files

    files, errors = [], []
    for name in names:
        if not os.path.isdir(name):
            files.append(name)
            continue
        found, failed = find_audio_files(name)
        errors += [(error.filename, error) for error in failed]
        if not found and not failed:
            known = ", ".join(AUDIO_EXTENSIONS)
            errors.append((name, f"{name} has no audio files ({known})"))
        files += found
    return files, errors


def check_target(path):
    """Raises an OSError unless a file can be written to a path."""
    folder = os.path.dirname(path) or os.curdir
    if os.path.isdir(path) or not os.access(folder, os.W_OK):
        raise OSError(
            f"{path} cannot be written: choose a file in a folder that exists "
            "and permits writing."
        )


def is_filled(path):
    """Whether there is a folder that is not empty."""
    return os.path.isdir(path) and bool(os.listdir(path))


class Output:
    """Prints the tags or events of files in one of ``OUTPUT_FORMATS``.

    A table shows the ``thresholds`` in use, by label, if there are any.
    """

    def __init__(self, output_format, timeline, thresholds=None):
        self.output_format = output_format
        self.thresholds = thresholds
        self.timeline = timeline
        self.results = []  # printed at the end, for json
        self.table = csv.writer(sys.stdout, lineterminator="\n")
        if output_format == "csv":
            times = ["start", "end"] if timeline else []
            self.table.writerow(["file", *times, "label", "probability"])

    def add(self, file, found, error=None):
        """Prints the tags or events of a file, or keeps them for ``close``.

        If there is an error, it is printed instead, where the format has it.
        """
        rows = [item.to_dict() for item in found]
        if error is not None:
            result = {"file": file, "error": error}
        elif self.timeline:
            result = {"file": file, "events": rows}
        else:
            result = {"file": file, "tags": rows}
        if self.output_format == "json":
            self.results.append(result)
        elif self.output_format == "jsonl":
            print(json.dumps(result, allow_nan=False))
        elif error is not None:
            return
        elif self.output_format == "csv":
            self.table.writerows([file, *row.values()] for row in rows)
        elif self.output_format == "audacity":
            for event in found:
                label = " ".join(event.label.split())
                print(f"{event.start:.6f}\t{event.end:.6f}\t{label}")
        else:
            print(file)
            for item in found:
                times = ""
                if self.timeline:
                    times = f"{item.start:9.2f} {item.end:9.2f}"
                line = f"{times}  {item.probability:.3f}  {item.label}"
                if self.thresholds is not None:
                    threshold = self.thresholds[item.label]
                    line = f"{line}  (threshold {threshold:.3f})"
                print(line)
        sys.stdout.flush()

    def close(self):
        """Prints the results that were kept."""
        if self.output_format == "json":
            print(json.dumps(self.results, indent=2, allow_nan=False))


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

    with tqdm.external_write_mode():
        if verbose and isinstance(error, Exception):
            traceback.print_exception(error)
        print(f"fftp-tag: {one_line(error)}", file=sys.stderr)


def discard_standard_output():
    """Drops what is left to print, so that the flush at exit succeeds."""
    with contextlib.suppress(OSError):  # it has no descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def shown_warnings(verbose):
    """Prints this package's warnings; those of others only if verbose."""
    handler = logging.Handler(logging.WARNING)
    handler.addFilter(logging.Filter("speechbrain_fftp"))
    handler.emit = lambda record: report(f"warning: {record.getMessage()}")
    logging.root.addHandler(handler)
    try:
        with warnings.catch_warnings():
            if not verbose:
                warnings.simplefilter("ignore")
            yield
    finally:
        logging.root.removeHandler(handler)
