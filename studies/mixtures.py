"""Mixes the clips of the plan `fresh`: a prepared folder for each fold.

DATA has the folders speech_commands, audioset_mini, esc10 and everyday, see
README.md. Up to three of their recordings sound in a clip of 5 s, each at a
random time, level and speed, over noise. No recording, speaker or session is in
two folds: those of one are mixed for the test, those of the others for training
and, an eighth of them, for validation. OUT/search, for the trials of learning
rates, is without the first fold, and tests on the second.

> python studies/mixtures.py DATA OUT

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fftp_tag.audio.decode import read_audio
from fftp_tag.audio.mixing import (
    add_sound,
    change_speed,
    coloured_noise,
    from_decibels,
)
from fftp_tag.data.clips import Clip, as_int16
from fftp_tag.data.names import text_digest
from fftp_tag.data.prepared import MANIFEST, preparing, write_prepared
from fftp_tag.data.tables import read_table
from fftp_tag.files import write_csv

RATE = 16000
SIZE = 5 * RATE  # samples of a mixture
# By those of ESC-50; its 4th is unused
FOLDS = {"1": 1, "2": 2, "3": 3, "5": 4}
WORDS = "down go left no off on right stop up yes".split()
INSTRUMENTS = (
    "Acoustic_guitar Bass_drum Cello Clarinet Double_bass Flute Hi_hat "
    "Saxophone Snare_drum Violin_or_fiddle"
).split()
SESSION = 20  # instruments with ids of Freesound so close are of one session
VALID = 8  # one of so many groups is for validation
SOUNDS = (0.5, 0.3, 0.2)  # probabilities of one, two and three recordings
SPEED = (0.8, 1.25)
LEVEL_DB = (-35, -10)  # of the loudest recording, relative to full scale
QUIETER_DB = 10  # at most, of the others
NOISE_DB = (-50, -15)  # relative to the loudest recording
EXPONENTS = (0.0, 1.0, 2.0)  # of noises: power ~ 1 / f ** exponent
FADE = 160  # samples
SUBSETS = (1200, 4800)  # mixtures of smaller sets for training
COUNTS = {"train": 24000, "valid": 240, "eval": 1000}
SEARCH = "search"
SEARCH_COUNTS = {"train": 4800, "valid": 240, "eval": 1000}


class Sound(NamedTuple):
    """A recording, or a part of one: sounds of a group stay together."""

    path: Path
    label: str
    group: str
    fold: int


class Part(NamedTuple):
    """A sound in a mixture; ``start`` is 0 to 1, of where it fits."""

    sound: Sound
    start: float
    level: float
    speed: float


class Mixture(NamedTuple):
    """The parts of a mixture, and its noise."""

    parts: list
    noise_level: float
    exponent: float
    seed: int


def kind_of(label):
    """The kind of sound of a class."""
    if label in WORDS:
        return "words"
    return "instruments" if label in INSTRUMENTS else "everyday sounds"


def read_sounds(data):
    """All sounds of the four data sets."""
    sounds = []
    for word in WORDS:
        for path in sorted((data / "speech_commands" / word).glob("*.flac")):
            speaker = path.stem.partition("_nohash_")[0]
            fold = 1 + int(text_digest(speaker), 16) % len(FOLDS)
            sounds.append(Sound(path, word, speaker, fold))
    folder = data / "audioset_mini"
    columns = ("ytid", "source_label", "freesound_id")
    rows = [row for _, row in read_table(folder / "clips.csv", columns)]
    last, session = 0, 0
    for row in sorted(rows, key=lambda row: int(row["freesound_id"])):
        number = int(row["freesound_id"])
        session += number - last > SESSION
        last = number
        path = folder / "audio" / f"{row['ytid']}.flac"
        fold = 1 + session % len(FOLDS)
        label = row["source_label"]
        sounds.append(Sound(path, label, f"session{session}", fold))
    for table in ("esc10/esc10.csv", "everyday/clips.csv"):
        for _, row in read_table(data / table, ("file", "label", "fold")):
            if row["fold"] in FOLDS:
                path = (data / table).parent / "audio" / row["file"]
                group = row.get("group") or f"fs{path.stem.split('-')[1]}"
                fold = FOLDS[row["fold"]]
                sounds.append(Sound(path, row["label"], group, fold))
    return sounds


def choose_split(sound, test_fold, unused):
    """The split of a sound, or None."""
    if sound.fold == test_fold:
        return "eval"
    if sound.fold == unused:
        return None
    digest = int(text_digest(f"valid {sound.group}"), 16)
    return "train" if digest % VALID else "valid"


def draw_mixture(by_class, rng):
    """Draws a mixture of sounds of different classes."""
    count = 1 + rng.choice(len(SOUNDS), p=SOUNDS)
    loudest = rng.uniform(*LEVEL_DB)
    parts = []
    for label in rng.choice(sorted(by_class), count, replace=False):
        sounds = by_class[label]
        level = loudest - rng.uniform(0, QUIETER_DB) * bool(parts)
        parts.append(
            Part(
                sounds[rng.integers(len(sounds))],
                start=rng.uniform(),
                level=from_decibels(level),
                speed=rng.uniform(*SPEED),
            )
        )
    return Mixture(
        parts,
        noise_level=from_decibels(loudest + rng.uniform(*NOISE_DB)),
        exponent=rng.choice(EXPONENTS),
        seed=int(rng.integers(2**32)),
    )


@functools.cache
def read_sound(path):
    """The samples ``[S]`` of a recording, without silence at its ends."""
    wav = read_audio(path, RATE)
    heard = np.flatnonzero(np.abs(wav) > 1 / 2**15)
    return wav[heard[0] : heard[-1] + 1]


def render(clip):
    """The samples ``[S]`` of a clip that is a mixture, in 16 bits."""
    mixture = clip.audio
    rng = np.random.default_rng(mixture.seed)
    noise = coloured_noise(rng, SIZE, RATE, mixture.exponent)
    scene = (mixture.noise_level * noise).astype(np.float32)
    for part in mixture.parts:
        wav = read_sound(part.sound.path)
        wav = change_speed(wav, part.speed, RATE)
        if len(wav) > SIZE:
            wav = wav[int(part.start * (len(wav) - SIZE)) :][:SIZE]
        start = int(part.start * (SIZE - len(wav)))
        add_sound(scene, wav, start, part.level, FADE)
    return as_int16(scene / max(1.0, np.abs(scene).max()))


def draw_clips(sounds, counts, test_fold, unused, seed):
    """Draws the mixtures of a fold as clips.

    An id ends in the group of its first sound, by which runs are scored.
    """
    by_split = {split: {} for split in counts}
    for sound in sounds:
        split = choose_split(sound, test_fold, unused)
        if split:
            by_split[split].setdefault(sound.label, []).append(sound)
    clips = []
    rng = np.random.default_rng(seed)
    for split, count in counts.items():
        for number in range(count):
            mixture = draw_mixture(by_split[split], rng)
            first = mixture.parts[0].sound
            labels = tuple(part.sound.label for part in mixture.parts)
            name = f"{split}{number:05d}-{first.group}"
            clips.append(Clip(name, mixture, labels, split))
    return clips


def write_subsets(folder):
    """Writes train_COUNT.csv, the first rows of train.csv."""
    rows = [row for _, row in read_table(folder / "train.csv", MANIFEST)]
    for count in SUBSETS:
        first = [[row[x] for x in MANIFEST] for row in rows[:count]]
        write_csv(folder / f"train_{count}.csv", MANIFEST, first)


def make_folder(folder, sounds, counts, **draws):
    """Makes a prepared folder, unless it is complete; see ``draw_clips``."""
    with preparing(folder, {"counts": counts, **draws}) as to_do:
        if to_do:
            clips = draw_clips(sounds, counts, **draws)
            names = {sound.label: sound.label for sound in sounds}
            write_prepared(
                folder, clips, names, sample_rate=RATE, convert=render
            )
            write_subsets(folder)


def main():
    """Makes the folders of all folds."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    sounds = read_sounds(args.data.resolve())
    search = {"test_fold": 2, "unused": 1, "seed": 0}
    make_folder(args.out / SEARCH, sounds, SEARCH_COUNTS, **search)
    for fold in FOLDS.values():
        draws = {"test_fold": fold, "unused": None, "seed": fold}
        make_folder(args.out / str(fold), sounds, COUNTS, **draws)


if __name__ == "__main__":
    main()
