"""Cuts of background recordings, which splits do not share.

Authors
 * The speechbrain_fftp authors 2026
"""

import hashlib
import os

import numpy as np
import soundfile as sf

from speechbrain_fftp.dataio.audio import read_audio, resample
from speechbrain_fftp.dataio.convert import MIN_SECONDS
from speechbrain_fftp.dataio.files import atomic_path

# Which part of each recording is whose
PARTS = {"train": (0.0, 0.7), "valid": (0.7, 0.85), "test": (0.85, 1.0)}


def read_recordings(paths, sample_rate=16000):
    """Reads recordings at one rate.

    Arguments
    ---------
    paths : dict
        From a name to the file of each.
    sample_rate : int
        The wanted rate, in Hz.

    Returns
    -------
    recordings : dict
        From name to mono waveform ``[S]`` in float32.
    failed : dict
        From name to the reason why it cannot be used.

    Example
    -------
    >>> path = str(getfixture("tmpdir") / "hum.wav")
    >>> sf.write(path, np.zeros(16000), 8000)
    >>> recordings, failed = read_recordings({"hum": path, "rain": "none.wav"})
    >>> len(recordings["hum"]), failed
    (32000, {'rain': 'no regular file'})
    """
    recordings, failed = {}, {}
    for name, path in paths.items():
        try:
            samples, rate, _, frames = read_audio(path)
            if not len(samples):
                raise ValueError("empty file")
            samples = resample(samples, rate, sample_rate)
            shortest = min(high - low for low, high in PARTS.values())
            if len(samples) * shortest < MIN_SECONDS * sample_rate:
                raise ValueError("too short for three parts of 25 ms")
            recordings[name] = np.clip(samples, -1, 1)
        except ValueError as error:
            failed[name] = str(error)
    return recordings, failed


def part_of(samples, split):
    """Gives the part of a recording that belongs to a split.

    Arguments
    ---------
    samples : numpy.ndarray
        The recording ``[S]``.
    split : str
        train (the first 70 %), valid or test (the last 15 %).

    Returns
    -------
    numpy.ndarray
        That part.

    Example
    -------
    >>> part_of(np.arange(20), "valid")
    array([14, 15, 16])
    """
    low, high = (round(edge * len(samples)) for edge in PARTS[split])
    return samples[low:high]


def cut_silence(recordings, split, number, max_samples=16000):
    """Cuts one clip of "silence", at a random place and volume.

    The place is within the part of the split; where that is shorter than the
    clip, so is the clip.

    Arguments
    ---------
    recordings : dict
        What ``read_recordings`` gave.
    split : str
        Whose clip it is.
    number : int
        Which of its clips: the same always gives the same.
    max_samples : int
        Length of the clip.

    Returns
    -------
    numpy.ndarray
        The clip ``[S]``.

    Example
    -------
    >>> cut_silence({"hum": np.ones(160000)}, "test", 3).shape
    (16000,)
    """
    digest = hashlib.sha1(f"silence/{split}/{number}".encode()).digest()
    rng = np.random.default_rng(list(digest))
    part = part_of(recordings[rng.choice(sorted(recordings))], split)
    start = rng.integers(max(len(part) - max_samples, 0) + 1)
    return part[start : start + max_samples] * rng.uniform()


def write_silence(
    folder, recordings, split, number, sample_rate=16000, seconds=1.0
):
    """Writes clips of "silence" as ``SPLIT-NUMBER.flac``.

    Arguments
    ---------
    folder : str
        Where to write them; it is made if need be.
    recordings : dict
        What ``read_recordings`` gave.
    split : str
        Whose clips they are.
    number : int
        How many.
    sample_rate : int
        Their rate, in Hz.
    seconds : float
        Length of a clip.

    Returns
    -------
    dict
        From the name of each file to its duration, in seconds.

    Example
    -------
    >>> folder = str(getfixture("tmpdir"))
    >>> write_silence(folder, {"hum": np.ones(160000)}, "test", 2)
    {'test-0.flac': 1.0, 'test-1.flac': 1.0}
    """
    written = {}
    for i in range(number):
        max_samples = round(seconds * sample_rate)
        samples = cut_silence(recordings, split, i, max_samples)
        name = f"{split}-{i}.flac"
        write_flac(os.path.join(folder, name), samples, sample_rate)
        written[name] = len(samples) / sample_rate
    return written


def write_flac(path, samples, sample_rate=16000):
    """Writes a 16-bit FLAC file, which exists only once it is complete.

    Arguments
    ---------
    path : str
        Where to write it; the folder is made if need be.
    samples : numpy.ndarray
        Mono waveform ``[S]``.
    sample_rate : int
        Its rate, in Hz.

    Example
    -------
    >>> path = str(getfixture("tmpdir") / "a.flac")
    >>> write_flac(path, np.zeros(800))
    >>> sf.info(path).frames
    800
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with atomic_path(path) as temporary_path:
        sf.write(temporary_path, samples, sample_rate, "PCM_16", format="FLAC")
