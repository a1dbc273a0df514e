"""Reads CSV files, with errors that name file and line.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

from fftp_tag.errors import InputError
from fftp_tag.files import PathLike


@contextlib.contextmanager
def open_csv(path: PathLike) -> Iterator[TextIO]:
    """Opens a CSV file in UTF-8, with errors that name the file."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            yield file
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path} is not a table in UTF-8, save it again as one: {error}"
        )


def read_table(
    path: PathLike, columns: Sequence[str], delimiter: str = ","
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields number and entries of each line of a CSV file with a header.

    Entries are stripped, and empty where a line ends early.

    Arguments
    ---------
    path : str
        The file.
    columns : sequence of str
        The columns that it must have.
    delimiter : str
        What separates the entries.

    Raises
    ------
    InputError
        If a column is missing, or a line has too many entries or a NUL byte.
    """
    with open_csv(path) as file:
        reader = csv.DictReader(
            file, delimiter=delimiter, skipinitialspace=True
        )
        header = reader.fieldnames or []
        for column in columns:
            if column not in header:
                raise InputError(
                    f"{path} has no column '{column}': its first line has "
                    f"{header}, which are separated by {delimiter!r}; case "
                    "matters"
                )
        for row in reader:
            if None in row:
                raise InputError(
                    f"{path}, line {reader.line_num}: more entries than "
                    f"columns, the last are {row[None]}: put entries with "
                    f"{delimiter!r} in double quotes"
                )
            if any("\0" in (entry or "") for entry in row.values()):
                raise InputError(
                    f"{path}, line {reader.line_num}: there is a NUL byte: "
                    "save the table again as a CSV file in UTF-8"
                )
            yield (
                reader.line_num,
                {key: (entry or "").strip() for key, entry in row.items()},
            )


FORMULA = tuple("=+@\t\r")  # how texts begin that spreadsheets may run


def cells(values: Iterable[Any]) -> list[Any]:
    """A row for csv: spreadsheets must not take a text for a formula.

    See https://owasp.org/www-community/attacks/CSV_Injection. Names of files, as
    those of AudioSet, begin with a dash too often to be changed.

    Example
    -------
    >>> cells(["=1+1", "-0RWZT-miFs.wav", -1])
    ["'=1+1", '-0RWZT-miFs.wav', -1]
    """
    return [
        f"'{value}"
        if isinstance(value, str) and value.lstrip("'").startswith(FORMULA)
        else value
        for value in values
    ]


def text_of_cell(cell: str) -> str:
    """The text that ``cells`` has written.

    Example
    -------
    >>> text_of_cell("'=1+1"), text_of_cell("'s-Hertogenbosch")
    ('=1+1', "'s-Hertogenbosch")
    """
    is_changed = cell[:1] == "'" and cell.lstrip("'").startswith(FORMULA)
    return cell[1:] if is_changed else cell
