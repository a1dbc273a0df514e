"""The bank of other sounds: what a model has to be silent on.

bank.ogg has a few sounds of each of many kinds, such as clapping or a violin;
bank.csv tells where each is, and its origin. recipes/Starter/make_bank.py writes
both.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

from fftp_tag.audio.windows import Part
from fftp_tag.data.tables import read_table
from fftp_tag.learning.recordings import Recording

FOLDER = Path(__file__).parent
COPIES = 1  # of each sound


def read_bank() -> list[tuple[Recording, str]]:
    """The sounds of the bank, and the kind of each."""
    path = str(FOLDER / "bank.ogg")
    sounds = []
    for _, row in read_table(FOLDER / "bank.csv", ("kind", "start", "end")):
        part = Part(path, float(row["start"]), float(row["end"]))
        sounds.append((Recording(part, copies=COPIES), row["kind"]))
    return sounds
