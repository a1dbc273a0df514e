"""Synthetic clips for the benchmark of the recipe, prepared as it expects them.

Authors
 * The speechbrain_fftp authors 2026
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import soundfile

from speechbrain_fftp.dataio.clips import Clip, as_int16
from speechbrain_fftp.dataio.prepared import (
    PackedClip,
    write_classes,
    write_manifest,
    write_packs,
)
from speechbrain_fftp.datasets.audioset import read_classes

RATE = 16000
HELD_OUT = 48  # clips to validate, and to evaluate


class Size(NamedTuple):
    """How much is measured."""

    clips: int  # for training
    sample: int  # of them, for the loader
    seconds: int  # of a clip
    steps: int  # of an epoch


class Data:
    """A prepared folder of synthetic clips, some of which are FLAC files, too."""

    def __init__(self, folder, size):
        self.folder, self.size, self.classes = folder, size, read_classes()
        self.sound = make_sound()
        counts = {"train": size.clips, "valid": HELD_OUT, "eval": HELD_OUT}
        splits = {split: self.clips(split, counts[split]) for split in counts}
        self.train = splits["train"]
        every = sum(splits.values(), [])
        self.packed, _ = write_packs(folder, every, self.samples, RATE)
        write_classes(folder, self.classes)
        for split, clips in splits.items():
            self.write_manifest(split, clips)
        with ThreadPoolExecutor() as pool:
            list(pool.map(self.write_flac, self.some(size.sample)))

    def clips(self, split, count):
        """Clips with two random labels each."""
        labels = np.random.default_rng(0).choice([*self.classes], (count, 2))
        end = float(self.size.seconds)
        return [
            Clip(f"{split}{i:06}", None, tuple(set(two)), split, end=end)
            for i, two in enumerate(labels.tolist())
        ]

    def samples(self, clip):
        """Samples ``[S]`` of a clip in 16 bits: two parts of the sound."""
        rng = np.random.default_rng(int(clip.id[-6:]))
        length = self.size.seconds * RATE
        first, second = rng.integers(0, len(self.sound) - length, 2)
        mixed = self.sound[first : first + length] * rng.uniform(0.1, 1)
        return as_int16(mixed + self.sound[second : second + length])

    def flac(self, clip_id):
        """The path of a clip's FLAC file."""
        return self.folder / f"{clip_id}.flac"

    def write_flac(self, clip):
        """Writes the FLAC file of a clip."""
        soundfile.write(self.flac(clip.id), self.samples(clip), RATE)

    def write_manifest(self, name, clips):
        """Writes a manifest; returns its path."""
        path = self.folder / f"{name}.csv"
        write_manifest(path, clips, self.packed, RATE, self.classes)
        return str(path)

    def some(self, count):
        """Training clips at equal distances."""
        return self.train[:: len(self.train) // count][:count]

    def list(self, count, shortest=1.0):
        """A manifest of some training clips.

        Of their length, they keep a random share of at least ``shortest``.
        """
        clips, packed = self.some(count), dict(self.packed)
        rng = np.random.default_rng(0)
        for clip in clips:
            wav, start, stop = self.packed[clip.id]
            share = rng.uniform(shortest, 1)
            stop = start + round((stop - start) * share)
            packed[clip.id] = PackedClip(wav, start, stop)
        path = self.folder / f"{count}-{shortest}.csv"
        write_manifest(path, clips, packed, RATE, self.classes)
        return str(path)

    def words(self, count):
        """A prepared folder of words: a second of each of some clips."""
        folder = self.folder / "words"
        folder.mkdir(exist_ok=True)
        classes = {f"word{i}": f"word{i}" for i in range(35)}
        write_classes(folder, classes)
        clips = [
            clip._replace(labels=(f"word{i % 35}",))
            for i, clip in enumerate(self.some(count))
        ]
        packed = {}
        for clip in clips:
            wav, start, _ = self.packed[clip.id]
            wav = wav.replace("$data_root", str(self.folder))
            packed[clip.id] = PackedClip(wav, start, start + RATE)
        for split in ("train", "valid", "test"):
            path = folder / f"{split}.csv"
            held = clips if split == "train" else clips[:HELD_OUT]
            write_manifest(path, held, packed, RATE, classes)
        return folder


def make_sound():
    """A minute of noise and tones that come and go, ``[S]``."""
    rng = np.random.default_rng(0)
    seconds = np.arange(60 * RATE, dtype=np.float32) / RATE
    sound = 0.02 * rng.standard_normal(len(seconds), np.float32)
    for pitch in rng.uniform(100, 4000, 20).astype(np.float32):
        level = 0.05 * np.sin(pitch / 1000 * seconds) ** 8
        sound += level * np.sin(2 * np.pi * pitch * seconds)
    return sound
