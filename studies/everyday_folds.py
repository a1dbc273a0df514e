"""Prepares everyday sounds by AudioSet's names: the folders of the plan `teacher`.

DATA has the folders esc10 and everyday, see README.md. OUT gets a prepared folder
for each fold, split as by mixtures.py. Clips are cut to 5 s.

> python studies/everyday_folds.py DATA OUT

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "recipes" / "Starter")]
from everyday import read_clips

from fftp_tag.data.clips import Clip
from fftp_tag.data.prepared import preparing, write_prepared
from studies.mixtures import FOLDS, RATE, SIZE, choose_split, read_sounds


def main():
    """Makes the folders of all folds."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    data = args.data.resolve()
    names = {clip.label: clip.name for clip in read_clips(data) if clip.name}
    sounds = [sound for sound in read_sounds(data) if sound.label in names]
    classes = {name: name for name in sorted(names.values())}
    for fold in FOLDS.values():
        clips = [
            Clip(
                f"{number:04d}-{sound.group}",
                sound.path,
                (names[sound.label],),
                choose_split(sound, test_fold=fold, unused=None),
                end=SIZE / RATE,
            )
            for number, sound in enumerate(sounds)
        ]
        folder = args.out / str(fold)
        with preparing(folder, {"fold": fold}) as to_do:
            if to_do:
                write_prepared(folder, clips, classes, sample_rate=RATE)


if __name__ == "__main__":
    main()
