"""Answers of ``fftp-tag review``: a table.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
from pathlib import Path
from typing import Any, NamedTuple

from fftp_tag.data.class_names import class_name
from fftp_tag.data.clips import Clip
from fftp_tag.data.custom import BACKGROUND, part_id
from fftp_tag.data.tables import cells, read_table, text_of_cell
from fftp_tag.errors import InputError, counted
from fftp_tag.files import PathLike, is_hidden, remove_leftovers, write_csv

TABLE = "review.csv"
YES, NO, OTHER, SKIP = ANSWERS = ("yes", "no", "other", "skip")
MAX_NAMES = 3  # of recordings in a message


class Answer(NamedTuple):
    """A row of the table: what was asked, and what was heard."""

    folder: str  # of the recordings
    recording: str  # relative to the folder
    start: float  # in seconds
    end: float
    asked: str  # the class
    probability: float  # of this class
    answer: str  # one of ANSWERS
    label: str  # the class, background, or nothing if it was skipped
    order: str  # by which the candidate was chosen
    model: str  # its checksum
    time: str  # of the answer

    @property
    def path(self) -> str:
        """The file."""
        return os.path.join(self.folder, self.recording)


class ReviewFolder:
    """Answers in a folder, each of which is written at once.

    Only whoever holds the folder may add some, see ``held``.

    Arguments
    ---------
    folder : str
        It is made with the first answer.

    Raises
    ------
    InputError
        If the folder has other files, but no answers.
    """

    def __init__(self, folder: PathLike):
        self.folder = Path(folder)
        self.answers: list[Answer] = []
        remove_leftovers(self.folder / TABLE)
        if (self.folder / TABLE).exists():
            self.answers = read_answers(folder)
        elif self.folder.exists() and not all(
            is_hidden(path.name) for path in self.folder.iterdir()
        ):
            raise InputError(
                f"{folder} is not empty and has no {TABLE}: give another "
                "--output"
            )

    def add(self, answer: Answer) -> None:
        """Writes an answer."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.save([*self.answers, answer])

    def undo(self) -> Answer:
        """Removes the last answer, and returns it."""
        *others, answer = self.answers
        self.save(others)
        return answer

    def save(self, answers: list[Answer]) -> None:
        """Writes the table, in one step."""
        rows = map(cells, answers)
        write_csv(self.folder / TABLE, Answer._fields, rows)
        self.answers = answers


def read_answers(folder: PathLike) -> list[Answer]:
    """Reads the table in a folder.

    Raises
    ------
    FileNotFoundError
        If there is none.
    InputError
        If a row is invalid.
    """
    path = os.path.join(folder, TABLE)
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"{path}: there is no such file. Give the folder that fftp-tag "
            "review has written"
        )
    answers = []
    for line, row in read_table(path, Answer._fields):
        try:
            values: dict[str, Any] = {
                x: text_of_cell(row[x]) for x in Answer._fields
            }
            for name in ("start", "end", "probability"):
                values[name] = float(row[name])
            answer = Answer(**values)
            if answer.answer not in ANSWERS:
                raise ValueError(f"{answer.answer!r} is none of {ANSWERS}")
            if not 0 <= answer.start < answer.end:
                raise ValueError("a candidate must end after its start")
            if answer.answer != SKIP:
                class_name(answer.label)
        except ValueError as error:
            raise InputError(f"{path}, line {line}: {error}") from error
        answers.append(answer)
    return answers


def reviewed_clips(folder: PathLike) -> list[Clip]:
    """The clips to learn from in a folder of answers; a recording is a group.

    Known are the classes that an answer tells of: that which was asked for, and
    that which was heard; or all, if it is background instead.

    Raises
    ------
    FileNotFoundError, InputError
        See ``read_answers``; or recordings are missing.
    """
    answers = [x for x in read_answers(folder) if x.answer != SKIP]
    paths = sorted({x.path for x in answers})
    missing = [path for path in paths if not os.path.isfile(path)]
    if missing:
        raise InputError(
            f"{counted(len(missing), 'recording')} of {folder} are missing: "
            f"{', '.join(missing[:MAX_NAMES])}. Move them back, or correct the "
            f"column folder of {os.path.join(folder, TABLE)}"
        )
    clips = []
    for x in answers:
        labels = () if x.label == BACKGROUND else (class_name(x.label),)
        tells_of_all = not labels and x.answer == OTHER
        clips.append(
            Clip(
                id=part_id(x.path, x.start, x.end),
                audio=x.path,
                labels=labels,
                start=x.start,
                end=x.end,
                group=x.path,
                known=() if tells_of_all else (x.asked, *labels),
                is_reviewed=True,
            )
        )
    return clips
