"""What several tests of recipes share.

Authors
 * The speechbrain_fftp authors 2026
"""

import shutil

import pytest
from data_folders import write_lists, write_sound

from fftp_tag.data.audioset import PUBLISHED_CLASSES, read_classes

# Clips with AudioSet's classes, each of which is in two clips of three
SIZES = {"balanced_train": 12, "valid": 24, "eval": 6}


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory):
    """Clips of 10 s in AudioSet's form. Tests must not change it."""
    folder = tmp_path_factory.mktemp("data") / "audioset"
    write_lists(folder, seconds=10, balanced_train=24, valid=8, eval=8)
    return folder


@pytest.fixture(scope="session")
def audioset(once):
    """AudioSet's lists of a few clips, with all of its classes."""

    def write(folder):
        folder.mkdir()
        shutil.copy(PUBLISHED_CLASSES, folder)
        for seed, (name, size) in enumerate(SIZES.items()):
            lines = []
            for number in range(size):
                clip = f"-{name:.4}{number:06d}"
                mids = [
                    m for n, m in enumerate(read_classes()) if (n + number) % 3
                ]
                lines.append(f'{clip}, 0.000, 10.000, "{",".join(mids)}"\n')
                path = folder / "audio" / f"{clip}.wav"
                write_sound(path, 100 * seed + number, 0.5)
            path = folder / f"{name}_segments.csv"
            path.write_text("".join(lines), "utf-8")

    return once("audioset", write)
