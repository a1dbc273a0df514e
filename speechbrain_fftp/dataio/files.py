"""Writing of files that exist only once they are complete.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import csv
import hashlib
import json
import os


@contextlib.contextmanager
def atomic_path(path):
    """Gives a temporary name to write to; moves the file when it is complete.

    Arguments
    ---------
    path : str
        Name that the file is to have in the end.

    Yields
    ------
    temporary_path : str
        Name to write to.

    Example
    -------
    >>> path = getfixture("tmpdir") / "notes.txt"
    >>> with atomic_path(path) as temporary_path:
    ...     _ = open(temporary_path, "w").write("complete")
    ...     path.check()
    False
    >>> path.read()
    'complete'
    """
    temporary_path = f"{path}.tmp"
    yield temporary_path
    os.replace(temporary_path, path)


def file_sha256(path):
    """Checksum of a file.

    Arguments
    ---------
    path : str
        The file, of any size.

    Returns
    -------
    str
        Hexadecimal digits of its SHA-256.

    Example
    -------
    >>> path = getfixture("tmpdir") / "notes.txt"
    >>> path.write("complete")
    >>> file_sha256(path)[:8]
    'eebbf645'
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def as_utf8(text):
    """Text that can be written, though a name of a file may be any bytes.

    Arguments
    ---------
    text : str
        May hold what UTF-8 cannot, such as a byte of a name that is no text.

    Returns
    -------
    str
        The same with escapes for that.

    Example
    -------
    >>> print(as_utf8("caf\\udce9.wav"))
    caf\\udce9.wav
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def write_csv(path, header, rows):
    """Writes a table as a CSV file.

    Arguments
    ---------
    path : str
        Where to write it.
    header : sequence of str
        Names of the columns.
    rows : iterable of sequences
        Content.

    Example
    -------
    >>> path = getfixture("tmpdir") / "classes.csv"
    >>> write_csv(path, ("mid", "name"), [("/m/07y_7", "Violin, fiddle")])
    >>> print(path.read_text("utf-8"))
    mid,name
    /m/07y_7,"Violin, fiddle"
    <BLANKLINE>
    """
    with atomic_path(path) as temporary_path:
        with open(temporary_path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)


def write_json(path, content):
    """Writes a JSON file.

    Arguments
    ---------
    path : str
        Where to write it.
    content : dict or list
        What to write.

    Example
    -------
    >>> path = getfixture("tmpdir") / "report.json"
    >>> write_json(path, {"written": 300})
    >>> json.loads(path.read_text("utf-8"))
    {'written': 300}
    """
    with atomic_path(path) as temporary_path:
        with open(temporary_path, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
