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


def read_bank() -> list[tuple[Recording, str]]:
    """The sounds of the bank, and the kind of each."""
    with open(FOLDER / "bank.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    path = str(FOLDER / "bank.ogg")
    parts = [Part(path, float(x["start"]), float(x["end"])) for x in rows]
    return [
        (Recording(part, copies=COPIES), row["kind"])
        for part, row in zip(parts, rows, strict=True)
    ]
