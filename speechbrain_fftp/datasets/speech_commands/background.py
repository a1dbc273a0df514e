"""Clips of "silence", cut from background recordings.

Each split has its own part of each recording.

Authors
 * The speechbrain_fftp authors 2026
"""

import hashlib
import os

import numpy as np

from speechbrain_fftp.dataio.audio import (
    MIN_SECONDS,
    read_audio,
    resample,
    write_flac,
)

# Where each split's part of a recording begins and ends
RECORDING_PARTS = {"train": (0.0, 0.7), "valid": (0.7, 0.85), "test": (0.85, 1)}


def read_recordings(paths, sample_rate=16000):
    """Reads recordings at one sampling rate.

    Takes and returns dicts by name: of files; of waveforms ``[S]`` in float32,
    and of the reasons why recordings cannot be used.
    """
    recordings, failed = {}, {}
    shortest = min(end - start for start, end in RECORDING_PARTS.values())
    for name, path in paths.items():
        try:
            samples, rate, _, _ = read_audio(path)
            if not len(samples):
                raise ValueError("empty file")
            samples = resample(samples, rate, sample_rate)
            if len(samples) * shortest < MIN_SECONDS * sample_rate:
                raise ValueError("too short for three parts of 25 ms")
            recordings[name] = np.clip(samples, -1, 1)
        except ValueError as error:
            failed[name] = str(error)
    return recordings, failed


def recording_part(samples, split):
    """Returns a split's part of a recording: 70 % for train, 15 % for others."""
    start, end = (round(x * len(samples)) for x in RECORDING_PARTS[split])
    return samples[start:end]


def cut_silence(recordings, split, number, max_samples=16000):
    """Cuts clip ``number`` of a split at a random place and volume, ``[S]``.

    It lies within the split's part of a recording, and is shorter than
    ``max_samples`` if that part is. The same arguments give the same clip.
    """
    digest = hashlib.sha1(f"silence/{split}/{number}".encode()).digest()
    rng = np.random.default_rng(list(digest))
    part = recording_part(recordings[rng.choice(sorted(recordings))], split)
    start = rng.integers(max(len(part) - max_samples, 0) + 1)
    return part[start : start + max_samples] * rng.uniform()


def write_silence(
    folder, recordings, split, num_clips, sample_rate=16000, seconds=1.0
):
    """Writes ``SPLIT-NUMBER.flac`` files; returns their durations by name."""
    written = {}
    for i in range(num_clips):
        max_samples = round(seconds * sample_rate)
        samples = cut_silence(recordings, split, i, max_samples)
        name = f"{split}-{i}.flac"
        write_flac(os.path.join(folder, name), samples, sample_rate)
        written[name] = len(samples) / sample_rate
    return written
