"""Clips of "silence", cut from background recordings.

Each split has a part of every recording.

Authors
 * The speechbrain_fftp authors 2026
"""

import math
import os

import numpy as np
import soundfile as sf

from speechbrain_fftp.dataio import audio
from speechbrain_fftp.dataio.files import atomic_path
from speechbrain_fftp.datasets.convert import read_clip
from speechbrain_fftp.datasets.names import seeded_rng

# Where each split's part of a recording begins and ends
RECORDING_PARTS = {"train": (0.0, 0.7), "valid": (0.7, 0.85), "test": (0.85, 1)}


def read_recording(path, sample_rate=16000):
    """Reads a recording ``[S]`` that is long enough for all splits."""
    samples, rate = read_clip(path, math.inf)
    samples = audio.resample(samples, rate, sample_rate)
    shortest = min(end - start for start, end in RECORDING_PARTS.values())
    if len(samples) * shortest < audio.MIN_SECONDS * sample_rate:
        raise ValueError("too short for three parts of 25 ms")
    return np.clip(samples, -1, 1)


def recording_part(samples, split):
    """A split's part of a recording."""
    start, end = (round(x * len(samples)) for x in RECORDING_PARTS[split])
    return samples[start:end]


def cut_silence(recordings, split, number, max_samples=16000):
    """Cuts clip ``number`` of a split at a random place and volume, ``[S]``.

    It is shorter than ``max_samples`` if the split's part of the recording is.
    """
    rng = seeded_rng("silence", split, number)
    part = recording_part(recordings[rng.choice(sorted(recordings))], split)
    start = rng.integers(max(len(part) - max_samples, 0) + 1)
    return part[start : start + max_samples] * rng.uniform()


def write_flac(path, samples, sample_rate=16000):
    """Writes a 16-bit FLAC file, and its folder; it appears once complete."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with atomic_path(path) as temporary_path:
        sf.write(temporary_path, samples, sample_rate, "PCM_16", format="FLAC")
