"""The bank of other sounds: what a model has to be silent on.

bank.ogg has a few sounds of each of many kinds, such as clapping or a violin;
bank.csv tells where each is, and its origin. recipes/Starter/make_bank.py writes
both.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

from fftp_tag.data.clips import Clip
from fftp_tag.data.custom import part_id
from fftp_tag.data.tables import read_table

FOLDER = Path(__file__).parent


def read_bank() -> list[Clip]:
    """The sounds of the bank, each of a kind."""
    path = FOLDER / "bank.ogg"
    sounds = []
    for _, row in read_table(FOLDER / "bank.csv", ("kind", "start", "end")):
        start, end = float(row["start"]), float(row["end"])
        name = part_id(path.name, start, end)
        sounds.append(
            Clip(name, str(path), start=start, end=end, kind=row["kind"])
        )
    return sounds
