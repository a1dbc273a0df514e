"""The bank of other sounds: what a model has to be silent on.

bank.ogg has a few sounds of each of many kinds, such as clapping or a violin;
bank.csv tells where each is, and its origin. recipes/Starter/make_bank.py writes
both.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
from pathlib import Path

from fftp_tag.audio.windows import Part
from fftp_tag.learning.recordings import Recording

FOLDER = Path(__file__).parent
COPIES = 1  # of each sound


def read_bank() -> list[tuple[Recording, int]]:
    """The sounds of the bank, and the number of the kind of each."""
    with open(FOLDER / "bank.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    path = str(FOLDER / "bank.ogg")
    return [
        (
            Recording(
                Part(path, float(row["start"]), float(row["end"])),
                copies=COPIES,
            ),
            kinds.index(row["kind"]),
        )
        for row in rows
    ]
