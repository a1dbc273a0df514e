"""The folder --output: a file of results for each recording, and a manifest.

The manifest is a JSON object per line. The first one tells which model, options
and version of this package made the results; each other one, what a file has and
which recording it was made from.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fftp_tag.errors import InputError
from fftp_tag.files import (
    PathLike,
    atomic_path,
    file_sha256,
    is_unchanged,
    read_text,
    remove_leftovers,
)

if TYPE_CHECKING:
    from fftp_tag.audio.decode import DamagedAudio

MANIFEST = "manifest.jsonl"


class OutputFolder:
    """Tells what is done, and records what is written.

    Only whoever holds the folder may make it, see ``held``.

    Arguments
    ---------
    folder : str
        It is made if it is missing.
    made_by : dict
        Names and values of what determines the results of a recording.

    Raises
    ------
    InputError
        If the folder has results that something else made.
    """

    def __init__(self, folder: PathLike, made_by: dict[str, Any]):
        self.path = Path(folder, MANIFEST)
        self.rows: dict[str, dict] = {}  # by file
        text = read_text(self.path) if self.path.exists() else ""
        if text and not text.endswith("\n"):  # the last line was interrupted
            self.add_line()
        found = read_lines(text)
        if not all(isinstance(row, dict) for row in found):
            raise InputError(
                f"{self.path} is another kind of file: give another --output."
            )
        if not found:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.add_line(made_by)
            return
        first, *rows = found
        differing = sorted(
            name
            for name in made_by.keys() | first.keys()
            if made_by.get(name) != first.get(name)
        )
        if differing:
            raise InputError(
                f"{folder} has results that were made with other "
                f"{', '.join(differing)}, see {self.path}: give another "
                "--output."
            )
        self.rows = {row["file"]: row for row in rows if "file" in row}
        for name in self.rows:
            path = self.path.parent / name
            if not os.path.exists(path):  # the name may be too long
                remove_leftovers(path)

    def is_done(self, name: str, recording: PathLike) -> bool:
        """Whether a file has the results of a recording, as it is now.

        Results of an earlier state of it, and of a recording that was read in
        part, are deleted, unless they were edited.

        Raises
        ------
        InputError
            If the file was not written by this command, or edited since.
        """
        path = self.path.parent / name
        if not path.exists() or not os.path.isfile(recording):
            return False
        row = self.rows.get(name)
        if row is None:
            raise InputError(f"{path} exists, but is not in {self.path}.")
        is_damaged = "seconds_read" in row
        if not is_damaged and is_unchanged(recording, row["recording"]):
            return True
        if file_sha256(path) != row["content"]:
            state = "a part" if is_damaged else "an earlier state"
            raise InputError(
                f"{path} was edited, but is of {state} of {recording}: "
                "move it to another folder, or give another --output."
            )
        path.unlink()
        return False

    def write(
        self,
        name: str,
        content: bytes,
        recording: str,
        damage: "DamagedAudio | None" = None,
    ) -> None:
        """Writes a file; ``recording`` is the identity of its recording."""
        checksum = hashlib.sha256(content).hexdigest()
        row = {"file": name, "recording": recording, "content": checksum}
        self.add_line(row | (damage.to_dict() if damage else {}))
        with atomic_path(self.path.parent / name) as temporary_path:
            Path(temporary_path).write_bytes(content)

    def add_line(self, content: dict[str, Any] | None = None) -> None:
        """Adds a line in one step, so that threads and kills do no harm."""
        line = "" if content is None else json.dumps(content)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def read_lines(text: str) -> list[dict[str, Any]]:
    """The objects in the lines of a text; what was not finished is left out."""
    found = []
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found
