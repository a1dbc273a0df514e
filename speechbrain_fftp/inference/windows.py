"""Samples of arrays, and windows of files of any length in constant memory.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import logging
import numbers
import os
from typing import NamedTuple

import numpy as np

from speechbrain_fftp.dataio import audio

logger = logging.getLogger(__name__)

BATCH_WINDOWS = 16  # windows that are passed to the model at a time
MAX_CHANNELS = 8  # of a 2-D array
SILENT = "%s is silent"
SILENCE = 2**-15  # a level below the last bit of 16-bit audio
# Offset and full scale of the integers that audio files hold
INTEGERS = {
    "u1": (128, 2**7),
    "i1": (0, 2**7),
    "i2": (0, 2**15),
    "i4": (0, 2**31),
}


class Windows(NamedTuple):
    """A batch of windows of equal length."""

    starts: np.ndarray  # first sample of each window, [B]
    wavs: np.ndarray  # samples, [B, S]

    @property
    def ends(self):
        """The sample after each window, ``[B]``."""
        return self.starts + self.wavs.shape[1]


class WindowCutter:
    """Cuts windows out of samples that arrive in blocks.

    Windows start at 0, ``hop``, 2 ``hop``, ... (rounded) and have equal
    lengths: the last one is shifted so that it ends with the samples. Fewer
    samples than a window are one window.

    Arguments
    ---------
    size : int
        Length of a window in samples.
    hop : float
        Samples from one start to the next.

    Example
    -------
    >>> cutter = WindowCutter(size=4, hop=2)
    >>> list(cutter.push(np.arange(7.0)))
    [(0, array([0., 1., 2., 3.])), (2, array([2., 3., 4., 5.]))]
    >>> cutter.finish()
    (3, array([3., 4., 5., 6.]))
    """

    def __init__(self, size, hop):
        self.size = size
        self.hop = hop
        self.number = 0  # of the next window
        self.held = np.zeros(0, np.float32)  # samples that may be needed
        self.begin = 0  # position of the first of them

    @property
    def end(self):
        """Number of samples so far."""
        return self.begin + len(self.held)

    def push(self, block):
        """Yields start and samples of the windows that a block completes.

        The last window is kept for ``finish``: it may be the last of all.
        """
        self.held = np.concatenate([self.held, block])
        start = round(self.number * self.hop)
        while start + self.size < self.end:
            first = start - self.begin
            yield start, self.held[first : first + self.size]
            self.number += 1
            start = round(self.number * self.hop)
        # Of the next window, or of the last one if the samples end here
        needed = max(min(start, self.end - self.size) - self.begin, 0)
        self.held = self.held[needed:]
        self.begin += needed

    def finish(self):
        """Start and samples of the last window."""
        start = max(self.end - self.size, 0)
        return start, self.held[start - self.begin :]


def read_windows(source, sample_rate, grids, shortest=0, progress=False):
    """Reads an audio file of any length as batches of windows.

    Arguments
    ---------
    source : str, bytes, file or list
        A file, or a list of consecutive samples at the sampling rate.
    sample_rate : int
        Sampling rate of the windows in Hz.
    grids : dict
        Maps names to the size and the hop of a ``WindowCutter``.
    shortest : int
        If the source has fewer samples, a warning is logged.
    progress : bool
        Whether to show a progress bar.

    Yields
    ------
    name, windows : str, Windows
        Up to 16 windows of a grid, in order.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no audio file, or too short.
    """
    cutters = {name: WindowCutter(*grid) for name, grid in grids.items()}
    waiting = {name: [] for name in grids}
    n_samples = 0
    is_silent = True
    for block in read_blocks(source, sample_rate, progress):
        n_samples += len(block)
        is_silent = is_silent and np.abs(block).max(initial=0.0) < SILENCE
        for name, cutter in cutters.items():
            for window in cutter.push(block):
                waiting[name].append(window)
                if len(waiting[name]) == BATCH_WINDOWS:
                    yield name, collate(waiting[name])
                    waiting[name] = []
    if n_samples < shortest:
        logger.warning(
            "%s is shorter than one patch of the model (%.3g of %.3g s): its "
            "tags may be wrong",
            source_name(source),
            n_samples / sample_rate,
            shortest / sample_rate,
        )
    if is_silent:
        logger.warning(SILENT, source_name(source))
    for name, cutter in cutters.items():
        waiting[name].append(cutter.finish())
        yield name, collate(waiting[name])


@contextlib.contextmanager
def silent_files_counted():
    """In a block, silent files are counted and logged in one line at its end."""
    names = []

    def is_other(record):
        """Whether a record is none of a silent file."""
        if record.msg != SILENT:
            return True
        names.extend(record.args)
        return False

    logger.addFilter(is_other)
    try:
        yield
    finally:
        logger.removeFilter(is_other)
        if names:
            logger.warning(
                "%d clips are silent, such as %s", len(names), names[0]
            )


def collate(windows):
    """Batches windows of equal length."""
    starts, samples = zip(*windows)
    return Windows(starts=np.array(starts), wavs=np.stack(samples))


def read_blocks(source, sample_rate, progress=False):
    """Reads audio as consecutive mono blocks ``[S]`` of float32.

    A list of samples at the given rate is returned as it is. A warning is
    logged if the end of a file is missing.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no audio file, or shorter than 25 ms.
    """
    if isinstance(source, np.ndarray) or hasattr(source, "numpy"):
        raise ValueError("An array has no sampling rate: use tag.")
    if isinstance(source, list):
        yield from source
        return
    name = source_name(source)
    n_samples = 0
    if isinstance(source, (str, os.PathLike)) and not os.path.exists(source):
        raise FileNotFoundError(f"{name}: there is no such file.")
    try:
        with audio.open_audio(source) as file:
            rate = file.samplerate
            blocks = audio.mono_blocks(file)
            if progress:
                blocks = show_progress(blocks, name, file)
            for block in audio.resampled_blocks(blocks, rate, sample_rate):
                n_samples += len(block)
                yield block
    except audio.TruncatedAudio as error:
        logger.warning("%s is %s", name, error)
    except ValueError as error:
        raise ValueError(f"{name} is not readable audio: {error}") from error
    if n_samples == 0:
        raise ValueError(f"{name} holds no audio: it has no samples.")
    if n_samples < audio.MIN_SECONDS * sample_rate:
        raise ValueError(f"{name} is shorter than 25 ms: {n_samples} samples.")


def show_progress(blocks, name, file):
    """Shows how many seconds of a file were read."""
    from tqdm import tqdm  # here: it is not needed to be fast

    total = file.frames / file.samplerate
    with tqdm(
        total=round(total) if total < 2**31 else None,
        desc=os.path.basename(name),
        unit="s",
        leave=False,
    ) as bar:
        for block in blocks:
            yield block
            bar.update(len(block) / file.samplerate)


def source_name(source):
    """What messages call a source: its path, if it has one."""
    if isinstance(source, os.PathLike):
        return str(source)
    name = getattr(source, "name", source)
    return name if isinstance(name, str) else "the audio"


def mono_waveform(wav, sample_rate, target_rate):
    """Samples in memory as ``[S]`` of float32, see ``AudioTagger.tag``."""
    is_number = isinstance(sample_rate, numbers.Real)
    if not is_number or not audio.MIN_RATE <= sample_rate <= audio.MAX_RATE:
        raise ValueError(
            f"sample_rate={sample_rate!r} must be a number of Hz in "
            f"{audio.MIN_RATE}..{audio.MAX_RATE}."
        )
    if hasattr(wav, "numpy"):  # a tensor
        wav = wav.detach().cpu()
        if wav.is_floating_point():  # NumPy has no bfloat16
            wav = wav.float()
        wav = wav.numpy()
    if not isinstance(wav, np.ndarray):
        raise ValueError(
            "wav must be a NumPy array or a tensor, not a "
            f"{type(wav).__name__}; tag_file takes files."
        )
    wav = full_scale(channels_last(wav))
    if len(wav) < audio.MIN_SECONDS * sample_rate:
        raise ValueError(f"wav is shorter than 25 ms: {len(wav)} samples.")
    return audio.resample(wav.mean(axis=1), sample_rate, target_rate)


def channels_last(wav):
    """The samples as ``[S, C]``."""
    if wav.size == 0:
        raise ValueError(f"wav is empty: its shape is {wav.shape}.")
    if wav.ndim == 1:
        return wav[:, None]
    is_few = [size <= MAX_CHANNELS for size in wav.shape]
    if wav.ndim != 2 or sum(is_few) != 1:
        raise ValueError(
            f"wav has the shape {wav.shape}, but a clip has one to "
            f"{MAX_CHANNELS} channels: pass one waveform, such as wav[0], or "
            "batches to tag_batch."
        )
    return wav.T if is_few[0] else wav


def full_scale(wav):
    """The samples in float32, with full scale 1."""
    kind = wav.dtype.str[1:]  # without the byte order
    if kind in INTEGERS:
        offset, scale = INTEGERS[kind]
        return (wav.astype(np.float32) - offset) / scale
    if wav.dtype.kind != "f":
        raise ValueError(
            f"wav has the type {wav.dtype}: convert it to floating-point "
            "samples of full scale 1, or to the integers of an audio file."
        )
    peak = max(wav.max(), -wav.min())
    if not np.isfinite(peak):
        raise ValueError("wav has samples that are not finite.")
    if peak > audio.MAX_LEVEL:
        raise ValueError(
            f"wav has samples up to {peak:.3g}, but full scale is 1: divide "
            "them by their full scale, such as 32768."
        )
    return wav.astype(np.float32, copy=False)
