"""Readers for the lists that AudioSet publishes.

AudioSet (https://research.google.com/audioset) publishes a list of classes and
lists of labelled segments as CSV files.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import csv
import re
from typing import NamedTuple, Tuple

CLIP_SECONDS = 10.0
MAX_SECONDS = 1e9  # of a recording: it says that the times make sense
# ' => ' is what SpeechBrain's label encoder has between name and number; the
# last are bytes of file names that are no text
NOT_IN_CLASS_NAMES = re.compile(r"[;$\x00-\x1f]| => |[\ud800-\udfff]")


class Segment(NamedTuple):
    """One labelled clip.

    Arguments
    ---------
    id : str
        Identifier of the clip; YouTube's may start with a dash.
    start : float
        Where the segment starts in the recording, in seconds.
    end : float
        Where the segment ends in the recording, in seconds.
    mids : tuple of str
        Identifiers of the classes heard in the segment.

    Example
    -------
    >>> segment = Segment("--4gqARaEJE", 0.0, 10.0, ("/m/068hy",))
    >>> segment.end - segment.start
    10.0
    """

    id: str
    start: float
    end: float
    mids: Tuple[str, ...]


def read_class_list(path):
    """Reads AudioSet's list of classes (class_labels_indices.csv).

    Arguments
    ---------
    path : str or Path
        CSV file with the columns index, mid and display_name.

    Returns
    -------
    classes : dict
        From mid to display name, in the order of the file.

    Raises
    ------
    ValueError
        If a column is missing, a mid or a name comes twice, or there is no row.

    Example
    -------
    >>> path = getfixture("tmpdir") / "class_labels_indices.csv"
    >>> path.write("index,mid,display_name\\n0,/m/09x0r,Speech\\n")
    >>> read_class_list(path)
    {'/m/09x0r': 'Speech'}
    """
    classes, names = {}, set()
    with open_csv(path) as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        columns = reader.fieldnames or []
        for column in ("mid", "display_name"):
            if column not in columns:
                raise ValueError(f"{path} has no column '{column}': {columns}")
        for row in reader:
            mid, name = row["mid"], row["display_name"]
            if not (mid and name) or mid in classes or name in names:
                raise ValueError(
                    f"{path}, line {reader.line_num}: a mid and a display name"
                    f" of its own are needed, found {mid!r} and {name!r}"
                )
            classes[mid] = name
            names.add(name)
    if not classes:
        raise ValueError(f"{path} lists no class")
    return classes


def check_class_names(names, origin):
    """Refuses names that what is written for the recipe could not hold.

    Arguments
    ---------
    names : iterable of str
        Names of classes, which manifests join with ``;``.
    origin : str
        Where they are from, for the message.

    Raises
    ------
    ValueError
        If there is such a name.

    Example
    -------
    >>> check_class_names(["Violin, fiddle"], "class_labels_indices.csv")
    """
    for name in names:
        if NOT_IN_CLASS_NAMES.search(name):
            raise ValueError(
                f"{origin}: rename {name!r}, as ';', '$', ' => ' and control"
                " characters have a meaning of their own in what is written"
            )


def read_segments(path):
    """Reads one of AudioSet's segment lists, such as eval_segments.csv.

    Arguments
    ---------
    path : str or Path
        CSV file with rows ``id, start, end, "mid,mid"``. Lines that start with
        ``#`` are comments.

    Returns
    -------
    segments : list of Segment
        The rows in the order of the file.

    Raises
    ------
    ValueError
        If a row cannot be understood; the message has the file and the line.

    Example
    -------
    >>> path = getfixture("tmpdir") / "eval_segments.csv"
    >>> path.write('-0xzrMun0Rs, 30.000, 40.000, "/m/04rlf,/m/02qldy"\\n')
    >>> read_segments(path)[0].mids
    ('/m/04rlf', '/m/02qldy')
    """
    segments = []
    with open_csv(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip() or line.startswith("#"):
                continue
            try:
                segments.append(_parse_segment(line))
            except (csv.Error, ValueError):
                raise ValueError(
                    f"{path}, line {number}: expected"
                    f' id, start, end, "mid,mid" but found {line[:80]!r}'
                )
    return segments


@contextlib.contextmanager
def open_csv(path):
    """Opens a CSV file, and makes errors in its text name it.

    Arguments
    ---------
    path : str or Path
        The file, in UTF-8.

    Yields
    ------
    file : io.TextIOWrapper
        The open file.

    Raises
    ------
    ValueError
        If it is no CSV file in UTF-8.

    Example
    -------
    >>> path = getfixture("tmpdir") / "clips.csv"
    >>> path.write("path,labels\\n")
    >>> with open_csv(path) as file:
    ...     next(csv.reader(file))
    ['path', 'labels']
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            yield file
    except (UnicodeDecodeError, csv.Error) as err:
        raise ValueError(f"{path} is no CSV file in UTF-8: {err}")


def _parse_segment(line):
    """Turns one line of a segment list into a Segment."""
    fields = next(csv.reader([line], skipinitialspace=True))
    clip_id, start, end, mids = (field.strip() for field in fields)
    start, end = float(start), float(end)
    if not 0 <= start < end < MAX_SECONDS:
        raise ValueError("a segment has to end after its start")
    return Segment(clip_id, start, end, unique_mids(mids.split(",")))


def unique_mids(mids):
    """Drops blanks and repetitions.

    Arguments
    ---------
    mids : iterable of str
        Identifiers of classes.

    Returns
    -------
    tuple of str
        Each once, in their order.

    Example
    -------
    >>> unique_mids(["/m/1", " ", "/m/2 ", "/m/1"])
    ('/m/1', '/m/2')
    """
    return tuple(dict.fromkeys(m.strip() for m in mids if m and m.strip()))
