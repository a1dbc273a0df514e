"""Reading of audio files, whose headers may claim anything.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
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
    with open_audio(source) as file:
        rate, channels, frames = file.samplerate, file.channels, file.frames
        wanted = math.ceil(min(max_seconds * rate, frames))
        limit = int(min(MAX_FRAMES, MAX_SECONDS * rate))
        parts = [np.zeros(0, np.float32)]
        parts += mono_blocks(file, min(wanted, limit + 1))
    samples = np.concatenate(parts)
    if len(samples) > limit:
        raise ValueError(f"longer than {limit} samples: cut it into parts")
    return samples, rate, channels, frames


@contextlib.contextmanager
def open_audio(source):
    """Opens an audio file, whatever its name says about its format.

    Arguments
    ---------
    source : str or bytes
        Path or content of a file that soundfile can read.

    Yields
    ------
    soundfile.SoundFile
        The file, to be read.

    Raises
    ------
    ValueError
        If it is empty, cannot be read or has an impossible sampling rate; and
        if soundfile cannot go on reading it.

    Example
    -------
    >>> path = str(getfixture("tmpdir") / "a.wav")
    >>> sf.write(path, np.zeros(8000), 8000)
    >>> with open_audio(path) as file:
    ...     file.samplerate
    8000
    """
    in_memory = isinstance(source, bytes)
    if not (in_memory or os.path.isfile(source)):
        raise ValueError("no regular file")
    if (len(source) if in_memory else os.path.getsize(source)) == 0:
        raise ValueError("empty file")
    with contextlib.ExitStack() as stack:
        if in_memory:
            opened = io.BytesIO(source)
        else:
            # By descriptor, so that the name says nothing about the format
            opened = stack.enter_context(open(source, "rb")).fileno()
        try:
            file = sf.SoundFile(opened, closefd=False)
            stack.enter_context(file)
            if not MIN_RATE <= file.samplerate <= MAX_RATE:
                raise ValueError(
                    f"sampling rate of {file.samplerate} Hz, not in "
                    f"{MIN_RATE}..{MAX_RATE}"
                )
            yield file
        except sf.LibsndfileError as err:
            raise ValueError(f"unreadable or truncated: {err.error_string}")


def mono_blocks(file, frames=math.inf):
    """Reads an open audio file block by block, with the channels averaged.

    Arguments
    ---------
    file : soundfile.SoundFile
        The file. Its header may claim more than there is.
    frames : int or float
        How many frames to read at most; all of them when absent.

    Yields
    ------
    numpy.ndarray
        The next samples ``[S]``, float32.

    Raises
    ------
    ValueError
        If there are samples that are not finite.

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
        block = file.read(size, dtype="float32", always_2d=True)
        with np.errstate(all="ignore"):  # of numbers that are not finite
            mono = block.mean(axis=1) if file.channels > 1 else block[:, 0]
        if not np.isfinite(mono).all():
            raise ValueError("samples that are not finite")
        if len(mono):
            yield mono
        left -= len(block)
        if len(block) < size:
            break


def resampled_blocks(blocks, rate, sample_rate):
    """Changes the sampling rate of audio that comes in blocks, with soxr.

    All blocks together are what ``resample`` makes of the whole.

    Arguments
    ---------
    blocks : iterable of numpy.ndarray
        Consecutive samples ``[S]``, float32.
    rate : int
        Their sampling rate, in Hz.
    sample_rate : int
        The wanted one.

    Yields
    ------
    numpy.ndarray
        The next samples at the wanted rate.

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
    stream = _soxr().ResampleStream(
        rate, sample_rate, 1, dtype="float32", quality="VHQ"
    )
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def _soxr():
    """The package that resamples."""
    try:
        import soxr
    except ImportError:
        raise ImportError("Resampling clips needs soxr: pip install soxr")
    return soxr


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
    return _soxr().resample(samples, rate, sample_rate, "VHQ")
