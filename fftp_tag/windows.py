"""Reads audio of any length in windows, in constant memory.

Authors
 * The speechbrain_fftp authors 2026
"""

import logging
import os
from typing import Iterator, List, NamedTuple, Optional, Tuple, Union

import numpy as np

from fftp_tag.parallel import ahead
from speechbrain_fftp.dataio import audio
from speechbrain_fftp.dataio.errors import InputError

logger = logging.getLogger(__name__)

Source = Union[audio.Source, np.ndarray]  # an array needs a sampling rate

BATCH_SAMPLES = 2**18  # that are passed to the model at a time
MAX_CHANNELS = 8  # of an array
SILENT = "%s is silent"
SILENCE = 2**-15  # a level below the last bit of 16-bit audio


class Windows(NamedTuple):
    """A batch of windows of equal length."""

    starts: np.ndarray  # first sample of each window, [B]
    wavs: np.ndarray  # samples, [B, S]

    @property
    def ends(self) -> np.ndarray:
        """The sample after each window, ``[B]``."""
        return self.starts + self.wavs.shape[1]


class WindowCutter:
    """Cuts windows out of samples that arrive in blocks.

    Windows start at 0, ``hop``, 2 ``hop``, ... and have equal lengths: the last
    one is shifted so that it ends with the samples. Fewer samples than a window
    are one window.

    Arguments
    ---------
    size, hop : int
        Length of a window, and from one start to the next, in samples.

    Example
    -------
    >>> cutter = WindowCutter(size=4, hop=2)
    >>> list(cutter.push(np.arange(7.0)))
    [(0, array([0., 1., 2., 3.])), (2, array([2., 3., 4., 5.]))]
    >>> cutter.finish()
    (3, array([3., 4., 5., 6.]))
    """

    def __init__(self, size: int, hop: int):
        self.size = size
        self.hop = hop
        self.start = 0  # of the next window
        self.held = np.zeros(0, np.float32)  # samples that may be needed
        self.begin = 0  # position of the first of them

    @property
    def end(self) -> int:
        """Number of samples so far."""
        return self.begin + len(self.held)

    def push(self, block: np.ndarray) -> Iterator[Tuple[int, np.ndarray]]:
        """Yields start and samples of the windows that a block completes.

        The last window is kept for ``finish``: it may be the last of all.
        """
        self.held = np.concatenate([self.held, block])
        while self.start + self.size < self.end:
            first = self.start - self.begin
            yield self.start, self.held[first : first + self.size]
            self.start += self.hop
        # Of the next window, or of the last one if the samples end here
        needed = max(min(self.start, self.end - self.size) - self.begin, 0)
        self.held = self.held[needed:]
        self.begin += needed

    def finish(self) -> Tuple[int, np.ndarray]:
        """Start and samples of the last window."""
        start = max(self.end - self.size, 0)
        return start, self.held[start - self.begin :]


def cut_windows(
    blocks: Iterator[np.ndarray], *grids: Tuple[int, int]
) -> Iterator[Tuple[int, Windows]]:
    """Cuts consecutive blocks into batches of windows.

    Each grid is the size and the hop of a ``WindowCutter``. Yields the number of
    the grid, and windows that have 2**18 samples together, at least one. The
    next ones are read and cut while some are used.
    """
    return ahead(cut_in_turn(blocks, *grids))


def cut_in_turn(
    blocks: Iterator[np.ndarray], *grids: Tuple[int, int]
) -> Iterator[Tuple[int, Windows]]:
    """As ``cut_windows``, when they are asked for."""
    cutters = [WindowCutter(size, hop) for size, hop in grids]
    waiting: List[list] = [[] for _ in grids]
    for block in blocks:
        for grid, cutter in enumerate(cutters):
            for window in cutter.push(block):
                waiting[grid].append(window)
                if len(waiting[grid]) * cutter.size >= BATCH_SAMPLES:
                    yield grid, collate(waiting[grid])
                    waiting[grid] = []
    for grid, cutter in enumerate(cutters):
        yield grid, collate([*waiting[grid], cutter.finish()])


def collate(windows: List[Tuple[int, np.ndarray]]) -> Windows:
    """Batches windows of equal length."""
    starts, samples = zip(*windows)
    return Windows(starts=np.array(starts), wavs=np.stack(samples))


def read_blocks(
    source: Source,
    rate: int,
    sample_rate: Optional[int] = None,
    progress: bool = False,
) -> Iterator[np.ndarray]:
    """Reads a source as consecutive mono blocks ``[S]`` of float32.

    Warnings are logged if the end of a file is missing, or it is silent.

    Arguments
    ---------
    source : str, bytes or numpy.ndarray
        A path, the content of a file, or samples, see ``mono_waveform``.
    rate : int
        Sampling rate of the blocks in Hz.
    sample_rate : int, optional
        That of an array.
    progress : bool
        Whether to show a progress bar.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    InputError
        If it is no audio, or shorter than 25 ms.
    """
    name = "the audio"
    if isinstance(source, (str, os.PathLike)):
        name = os.fspath(source)
    if isinstance(source, (str, bytes, os.PathLike)):
        blocks = audio.read_blocks(source, rate)
        if progress:
            blocks = show_progress(blocks, source, rate)
    elif sample_rate is None:
        raise InputError("An array has no sampling rate: give sample_rate.")
    elif not audio.MIN_RATE <= sample_rate <= audio.MAX_RATE:
        raise InputError(
            f"sample_rate={sample_rate} must be in {audio.MIN_RATE}.."
            f"{audio.MAX_RATE} Hz."
        )
    else:
        samples = mono_waveform(source)
        blocks = audio.resampled_blocks([samples], sample_rate, rate)
    n_samples = 0
    is_silent = True
    try:
        for block in blocks:
            n_samples += len(block)
            is_silent = is_silent and np.abs(block).max(initial=0.0) < SILENCE
            yield block
    except audio.TruncatedAudio as error:
        logger.warning("%s is %s", name, error)
    except InputError as error:
        raise InputError(f"{name} is not readable audio: {error}") from error
    if n_samples < audio.MIN_SECONDS * rate:
        raise InputError(f"{name} is shorter than 25 ms: {n_samples} samples.")
    if is_silent:
        logger.warning(SILENT, name)


def show_progress(
    blocks: Iterator[np.ndarray], source: audio.Source, rate: int
) -> Iterator[np.ndarray]:
    """Shows how many seconds of a file were read."""
    from tqdm import tqdm  # here: it is not needed to be fast

    with audio.open_audio(source) as file:
        total = file.frames and round(file.frames / file.rate)
    with tqdm(total=total, unit="s", leave=False) as bar:
        for block in blocks:
            yield block
            bar.update(len(block) / rate)


def mono_waveform(wav: np.ndarray) -> np.ndarray:
    """Floating-point samples ``[S]`` or ``[S, channels]`` as mono float32.

    Integers of 16 bits, as in WAV files, will do as well.

    Raises
    ------
    InputError
        If they are anything else.
    """
    wav = np.asarray(wav)
    if wav.ndim not in (1, 2) or (
        wav.ndim == 2 and not 1 <= wav.shape[1] <= MAX_CHANNELS
    ):
        raise InputError(
            f"An array has the shape {wav.shape}, and not [samples] or "
            "[samples, channels]."
        )
    if wav.dtype == np.int16:
        wav = wav / np.float32(2**15)
    if wav.dtype.kind != "f":
        raise InputError(
            f"An array has the type {wav.dtype}: convert it to floating-point "
            "samples in -1..1."
        )
    wav = wav.astype(np.float32, copy=False)
    audio.check_samples(wav)
    return wav if wav.ndim == 1 else audio.mono(wav)
