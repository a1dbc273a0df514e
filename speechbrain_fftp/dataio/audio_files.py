"""Reading of audio files, whose headers may claim anything.

Authors
 * The speechbrain_fftp authors 2026
"""

import io
import math
import os

import numpy as np
import soundfile as sf

MIN_RATE, MAX_RATE = 1000, 768000  # Hz
MAX_FRAMES = 2**29  # 3 hours at 48 kHz
MAX_SECONDS = MAX_FRAMES / 16000  # 9 hours
BLOCK_VALUES = 2**20


def read_audio(source, max_seconds=math.inf):
    """Reads an audio file, or its beginning, with the channels averaged.

    Memory is taken for what the file holds, not for what its header claims.

    Arguments
    ---------
    source : str or bytes
        Path or content of a file that soundfile can read.
    max_seconds : float
        How much of it to read.

    Returns
    -------
    samples : numpy.ndarray
        Mono waveform ``[S]`` in float32.
    rate : int
        Its sampling rate, in Hz.
    channels : int
        How many channels were averaged.
    frames : int
        Length of the file according to its header, in samples.

    Raises
    ------
    ValueError
        If it is empty, cannot be read, has an impossible sampling rate, is too
        long to be read at once or has samples that are not finite.

    Example
    -------
    >>> path = str(getfixture("tmpdir") / "a.wav")
    >>> sf.write(path, np.zeros((96000, 2)), 48000)
    >>> samples, rate, channels, frames = read_audio(path, max_seconds=1)
    >>> len(samples), rate, channels, frames
    (48000, 48000, 2, 96000)
    """
    in_memory = isinstance(source, bytes)
    if not (in_memory or os.path.isfile(source)):
        raise ValueError("no regular file")
    if (len(source) if in_memory else os.path.getsize(source)) == 0:
        raise ValueError("empty file")
    try:
        if in_memory:
            parts, *header = _read_blocks(io.BytesIO(source), max_seconds)
        else:
            # By descriptor, so that the name says nothing about the format
            with open(source, "rb") as file:
                parts, *header = _read_blocks(file.fileno(), max_seconds)
    except sf.LibsndfileError as err:
        raise ValueError(f"unreadable or truncated: {err.error_string}")
    samples = np.concatenate(parts)
    if not np.isfinite(samples).all():
        raise ValueError("samples that are not finite")
    return (samples, *header)


def _read_blocks(source, max_seconds):
    """Blocks of mono samples, and rate, channels and frames of the header."""
    with sf.SoundFile(source, closefd=False) as file:
        rate, channels, frames = file.samplerate, file.channels, file.frames
        if not MIN_RATE <= rate <= MAX_RATE:
            raise ValueError(
                f"sampling rate of {rate} Hz, not in {MIN_RATE}..{MAX_RATE}"
            )
        wanted = math.ceil(min(max_seconds * rate, frames))
        limit = int(min(MAX_FRAMES, MAX_SECONDS * rate))
        blocks, left = [np.zeros(0, np.float32)], min(wanted, limit + 1)
        while left > 0:
            size = min(left, BLOCK_VALUES // channels)
            block = file.read(size, dtype="float32", always_2d=True)
            with np.errstate(all="ignore"):  # of numbers that are not finite
                mono = block.mean(axis=1) if channels > 1 else block[:, 0]
            blocks.append(mono)
            left -= len(block)
            if len(block) < size:
                break
    if sum(map(len, blocks)) > limit:
        raise ValueError(f"longer than {limit} samples: cut it into parts")
    return blocks, rate, channels, frames


def resample(samples, rate, sample_rate):
    """Changes the sampling rate, with soxr (VHQ).

    Arguments
    ---------
    samples : numpy.ndarray
        Mono waveform ``[S]``.
    rate : int
        Its sampling rate, in Hz.
    sample_rate : int
        The wanted one.

    Returns
    -------
    numpy.ndarray
        The waveform at the wanted rate.

    Raises
    ------
    ImportError
        If soxr is needed and not installed.

    Example
    -------
    >>> resample(np.zeros(441, np.float32), 44100, 16000).shape
    (160,)
    """
    if rate == sample_rate:
        return samples
    try:
        import soxr
    except ImportError:
        raise ImportError("Resampling clips needs soxr: pip install soxr")
    return soxr.resample(samples, rate, sample_rate, "VHQ")
