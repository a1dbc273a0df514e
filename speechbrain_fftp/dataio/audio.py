"""Reads, resamples and writes audio files; headers are not trusted.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import math

import numpy as np
import soundfile as sf

from speechbrain_fftp.dataio.audio_file import AudioFile
from speechbrain_fftp.dataio.ffmpeg import (
    FFMPEG_EXTENSIONS,
    MAX_SECONDS,
    readable,
)

# What is looked for in folders, the most common first
AUDIO_EXTENSIONS = (".flac", ".wav", ".ogg", ".mp3", ".opus")
AUDIO_EXTENSIONS += FFMPEG_EXTENSIONS
AUDIO_EXTENSIONS += (".oga", ".aif", ".aiff", ".aifc", ".au", ".snd")
AUDIO_EXTENSIONS += (".caf", ".w64", ".rf64")  # codespell:ignore caf
MIN_RATE, MAX_RATE = 1000, 768000  # Hz
MIN_SECONDS = 0.025  # one frame
MAX_LEVEL = 100  # times full scale
MAX_FRAMES = 2**29  # 3 hours at 48 kHz
BLOCK_VALUES = 2**20


def read_audio(source, max_seconds=math.inf, start_seconds=0.0):
    """Reads an audio file, or a part of it, and averages the channels.

    Memory use depends on the samples in the file, not on its header.

    Arguments
    ---------
    source : str, bytes or file
        What ``open_audio`` opens.
    max_seconds, start_seconds : float
        Maximum duration to read, and where to start.

    Returns
    -------
    samples : numpy.ndarray
        Mono waveform ``[S]`` in float32.
    rate, channels, frames : int
        Sampling rate in Hz, and the file's number of channels and its length.

    Raises
    ------
    ValueError
        If the file is empty, unreadable, truncated, too long to be read at
        once, or has an invalid sampling rate or invalid samples.

    Example
    -------
    >>> path = str(getfixture("tmpdir") / "a.wav")
    >>> sf.write(path, np.zeros((96000, 2)), 48000)
    >>> samples, rate, channels, frames = read_audio(path, max_seconds=1)
    >>> len(samples), rate, channels, frames
    (48000, 48000, 2, 96000)
    """
    with open_audio(source, start_seconds + max_seconds) as file:
        rate, channels, frames = file.samplerate, file.channels, file.frames
        limit = int(min(MAX_FRAMES, MAX_SECONDS * rate))
        wanted = math.ceil(min(max_seconds * rate, limit + 1))
        if start_seconds:
            file.found = file.seek(min(round(start_seconds * rate), frames))
        parts = [np.zeros(0, np.float32), *mono_blocks(file, wanted)]
        samples = np.concatenate(parts)
        if len(samples) < wanted:
            frames = file.found
            if missing := file.missing_part():
                raise ValueError(f"truncated: {missing}")
    if len(samples) > limit:
        raise ValueError(f"longer than {limit} samples: cut it into parts")
    return samples, rate, channels, frames


@contextlib.contextmanager
def open_audio(source, max_seconds=math.inf):
    """Opens audio, through ffmpeg if need be, whatever its name is.

    Arguments
    ---------
    source : str, bytes or file
        Path, content, or a binary file object, see ``readable``.
    max_seconds : float
        Maximum duration to decode if ffmpeg has to decode the file first.

    Yields
    ------
    AudioFile
        The open file.

    Raises
    ------
    ValueError
        If the file is empty or unreadable, also while the block reads it, or
        has an invalid sampling rate.

    Example
    -------
    >>> path = str(getfixture("tmpdir") / "a.wav")
    >>> sf.write(path, np.zeros(8000), 8000)
    >>> with open_audio(path) as file:
    ...     file.samplerate
    8000
    """
    try:
        with readable(source, max_seconds) as opened, AudioFile(opened) as file:
            rate, limits = file.samplerate, f"{MIN_RATE}..{MAX_RATE}"
            if not MIN_RATE <= rate <= MAX_RATE:
                raise ValueError(f"sampling rate of {rate} Hz, not in {limits}")
            yield file
    except sf.LibsndfileError as err:
        raise ValueError(f"unreadable or truncated: {err.error_string}")


def mono_blocks(file, frames=math.inf):
    """Reads an open audio file block by block and averages the channels.

    Reading ends where a damaged file cannot be decoded further, see
    ``AudioFile.missing_part``.

    Arguments
    ---------
    file : AudioFile
        The open file.
    frames : int or float
        Maximum number of frames to read.

    Yields
    ------
    numpy.ndarray
        The next samples ``[S]``, float32.

    Raises
    ------
    ValueError
        If samples are not finite or exceed ``MAX_LEVEL``.

    Example
    -------
    >>> path = str(getfixture("tmpdir") / "a.wav")
    >>> sf.write(path, np.full((8000, 2), (0.5, 0.0)), 8000)
    >>> with open_audio(path) as file:
    ...     [(len(block), float(block[0])) for block in mono_blocks(file)]
    [(8000, 0.25)]
    """
    left = min(frames, file.frames)
    while left > 0:
        size = min(left, BLOCK_VALUES // file.channels)
        block = np.full((size, file.channels), np.nan, np.float32)
        try:
            block = file.read(out=block)
        except sf.LibsndfileError:  # samples before the damage were decoded
            block = block[: np.isnan(np.append(block[:, 0], np.nan)).argmax()]
        if not len(block):
            break
        peak = max(block.max(), -block.min())
        if not np.isfinite(peak):
            raise ValueError("samples that are not finite")
        if peak > MAX_LEVEL:
            raise ValueError(
                f"samples beyond full scale: up to {peak:.3g}, but those of"
                " floating-point files must be in -1..1"
            )
        file.found += len(block)
        yield block.mean(axis=1) if file.channels > 1 else block[:, 0]
        left -= len(block)
        if len(block) < size:
            break


def resampled_blocks(blocks, rate, sample_rate):
    """Resamples consecutive blocks of audio with soxr (VHQ).

    The sizes of the blocks do not change the result.

    Arguments
    ---------
    blocks : iterable of numpy.ndarray
        Consecutive samples ``[S]``, float32.
    rate, sample_rate : int
        Their sampling rate and the new one, in Hz.

    Yields
    ------
    numpy.ndarray
        The next samples at the new rate.

    Raises
    ------
    ImportError
        If soxr is needed and not installed.

    Example
    -------
    >>> blocks = [np.zeros(4410, np.float32)] * 3
    >>> sum(len(block) for block in resampled_blocks(blocks, 44100, 16000))
    4800
    """
    if rate == sample_rate:
        yield from blocks
        return
    try:
        import soxr
    except ImportError:
        raise ImportError("Resampling clips needs soxr: pip install soxr")
    stream = soxr.ResampleStream(rate, sample_rate, 1, "float32", "VHQ")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def resample(samples, rate, sample_rate):
    """Resamples a waveform, see ``resampled_blocks``.

    Arguments
    ---------
    samples : numpy.ndarray
        Mono waveform ``[S]``.
    rate, sample_rate : int
        Its sampling rate and the new one, in Hz.

    Returns
    -------
    numpy.ndarray
        The waveform at the new rate, float32.

    Example
    -------
    >>> resample(np.zeros(441, np.float32), 44100, 16000).shape
    (160,)
    """
    blocks = [np.asarray(samples, np.float32)]
    return np.concatenate([*resampled_blocks(blocks, rate, sample_rate)])
