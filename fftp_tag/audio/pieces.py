"""Reads audio of any length in pieces, in constant memory.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import io
import logging
import math
import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
import soundfile as sf

from fftp_tag.audio import decode as audio
from fftp_tag.errors import InputError
from fftp_tag.files import PathLike
from fftp_tag.parallel import ahead
from fftp_tag.progress import show_progress

logger = logging.getLogger(__name__)


class FilePiece(NamedTuple):
    """A file, or what is from its start to its end in seconds.

    Example
    -------
    >>> print(FilePiece("mix.wav", 3.0, 4.5), "and", FilePiece("all.wav"))
    mix.wav, 3.0-4.5 s and all.wav
    """

    path: PathLike
    start: float = 0.0
    end: float = math.inf

    def __str__(self) -> str:
        """Names it in messages."""
        if self.end == math.inf:
            return str(self.path)
        return f"{self.path}, {self.start:.1f}-{self.end:.1f} s"


def overlaps(
    start: float,
    end: float,
    others: Iterable[tuple[float, float]],
    max_share: float = 0.25,
) -> bool:
    """Whether more than a share of the shorter one is common to a part of a file
    and one of others, by starts and ends in seconds.

    Example
    -------
    >>> overlaps(0.0, 2.0, [(1.0, 9.0)]), overlaps(0.0, 2.0, [(1.5, 9.0)])
    (True, False)
    """
    return any(
        min(end, other_end) - max(start, other_start)
        > max_share * min(end - start, other_end - other_start)
        for other_start, other_end in others
    )


@dataclasses.dataclass
class Reading:
    """A file, as a path or its content; once it is read, what it lacks.

    Example
    -------
    >>> Reading("long.flac").damage is None
    True
    """

    source: audio.Source
    damage: audio.DamagedAudio | None = None


# An array needs a sampling rate
Source = audio.Source | FilePiece | Reading | np.ndarray

BATCH_SAMPLES = 2**18  # of a batch of pieces
MAX_CHANNELS = 8  # of an array


class Pieces(NamedTuple):
    """A batch of pieces of equal length."""

    starts: np.ndarray  # first sample of each piece, [B]
    wavs: np.ndarray  # samples, [B, S]

    @property
    def ends(self) -> np.ndarray:
        """The sample after each piece, ``[B]``."""
        return self.starts + self.wavs.shape[1]


class Stage(Protocol):
    """What turns items that arrive one by one into others."""

    def push(self, item: Any, /) -> Iterator[Any]:
        """Yields what the next item brings."""

    def finish(self) -> Iterator[Any]:
        """Yields what the end brings."""


def through(
    items: Iterable[Any], *stages: Stage, is_end: bool = True
) -> Iterator[Any]:
    """Passes items through stages; ``is_end`` says that no others follow."""
    for stage in stages:
        items = through_one(items, stage, is_end)
    return iter(items)


def through_one(
    items: Iterable[Any], stage: Stage, is_end: bool
) -> Iterator[Any]:
    """Passes items through a stage."""
    for item in items:
        yield from stage.push(item)
    if is_end:
        yield from stage.finish()


class Slide:
    """Cuts pieces out of samples that arrive in blocks.

    Pieces start at 0, ``hop``, 2 ``hop``, ... and have equal lengths: the last
    one is shifted so that it ends with the samples. Audio shorter than a piece
    becomes one short piece. Yields start and samples of each piece, as soon
    as the samples after it arrive or end.

    Arguments
    ---------
    size, hop : int
        Length of a piece and step from one to the next, in samples.

    Example
    -------
    >>> for start, piece in through([np.arange(7.0)], Slide(4, hop=2)):
    ...     print(start, piece)
    0 [0. 1. 2. 3.]
    2 [2. 3. 4. 5.]
    3 [3. 4. 5. 6.]
    """

    def __init__(self, size: int, hop: int):
        self.size, self.hop = size, hop
        self.start = 0  # of the next piece
        self.held = np.zeros(0, np.float32)  # samples that are still needed
        self.begin = 0  # position of the first held sample

    def push(self, block: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Yields the pieces that end before the end of a block."""
        self.held = np.concatenate([self.held, block])
        end = self.begin + len(self.held)
        while self.start + self.size < end:
            first = self.start - self.begin
            yield self.start, self.held[first : first + self.size]
            self.start += self.hop
        # Start of the next piece, or of the last one if the samples end here
        needed = max(min(self.start, end - self.size), self.begin)
        self.held = self.held[needed - self.begin :]
        self.begin = needed

    def finish(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yields the last piece."""
        start = max(self.begin + len(self.held) - self.size, 0)
        yield start, self.held[start - self.begin :]


class Batch:
    """Collects pieces in batches of so many samples, at least one piece."""

    def __init__(self, n_samples: int | None = None):
        self.n_samples = BATCH_SAMPLES if n_samples is None else n_samples
        self.starts: list[int] = []
        self.wavs: list[np.ndarray] = []

    def push(self, piece: tuple[int, np.ndarray]) -> Iterator[Pieces]:
        """Yields a batch when it is full."""
        start, wav = piece
        self.starts.append(start)
        self.wavs.append(wav)
        if len(self.wavs) * len(wav) >= self.n_samples:
            yield from self.finish()

    def finish(self) -> Iterator[Pieces]:
        """Yields the last batch."""
        if self.wavs:
            yield Pieces(np.array(self.starts), np.stack(self.wavs))
            self.starts, self.wavs = [], []


def cut_pieces(
    blocks: Iterable[np.ndarray], size: int, hop: int
) -> Iterator[Pieces]:
    """Cuts consecutive blocks into batches of pieces, see ``Slide``.

    Yields batches of about 2**18 samples, at least one piece. A thread
    prepares the next batch while one is in use.
    """
    return ahead(through(blocks, Slide(size, hop), Batch()))


def read_blocks(
    source: Source,
    rate: int,
    sample_rate: int | None = None,
    progress: bool = False,
    warn: bool = True,
) -> Iterator[np.ndarray]:
    """Reads a source as consecutive mono blocks ``[S]`` of float32.

    Arguments
    ---------
    source : str, bytes, FilePiece, Reading or numpy.ndarray
        A path, the content of a file, a part of a file, or samples, see
        ``mono_waveform``; or a ``Reading``, which tells what is damaged.
    rate : int
        Sampling rate of the blocks in Hz.
    sample_rate : int, optional
        Sampling rate of an array in Hz.
    progress : bool
        Whether to show progress.
    warn : bool
        Whether to log a warning if a file is damaged or silent.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    InputError
        If the source is not audio, or is shorter than 25 ms.
    """
    if isinstance(source, list) and any(
        isinstance(x, str | os.PathLike) for x in source
    ):
        raise InputError("A list is no source: call this for each file.")
    reading = None
    if isinstance(source, Reading):
        reading, source = source, source.source
    is_array = isinstance(source, list | tuple) or hasattr(source, "__array__")
    if not is_array and not isinstance(source, str | bytes | os.PathLike):
        raise InputError(
            f"A {type(source).__name__} is no source: give a path, bytes or an "
            "array."
        )
    name = "the audio"
    if isinstance(source, str | os.PathLike | FilePiece):
        name = str(source)
    if isinstance(source, FilePiece):
        path, start, end = source
        blocks = audio.stream_audio(path, rate, start, end - start)
    elif isinstance(source, str | bytes | os.PathLike):
        blocks = audio.stream_audio(source, rate)
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
    peak = 0.0
    try:
        for block in show_progress(
            blocks, unit="s", is_shown=progress, size=lambda x: len(x) / rate
        ):
            n_samples += len(block)
            peak = max(peak, np.abs(block).max(initial=0.0))
            yield block
    except audio.DamagedAudio as error:
        if reading is not None:
            reading.damage = error
        if warn:
            logger.warning("%s is %s", name, error)
    except InputError as error:
        raise InputError(f"{name} is not readable audio: {error}") from error
    if n_samples < audio.MIN_SECONDS * rate:
        raise InputError(f"{name} is shorter than 25 ms: {n_samples} samples.")
    is_file = not isinstance(source, np.ndarray)
    if is_file and peak < audio.SILENT_BELOW and warn:
        logger.warning("%s is silent (channels are averaged)", name)


def read_piece(
    path: PathLike,
    rate: int,
    start: float = 0.0,
    seconds: float = math.inf,
) -> np.ndarray:
    """The samples ``[S]`` of a part of a file; warns if some are missing."""
    samples = [np.zeros(0, np.float32)]
    try:
        for block in audio.stream_audio(path, rate, start, seconds):
            samples.append(block)
    except audio.DamagedAudio as error:
        logger.warning("%s is %s", path, error)
    return np.concatenate(samples)


def read_wav(part: FilePiece, subtype: str) -> bytes:
    """The content of a mono WAV file of a part of a file, at the file's rate."""
    with audio.open_audio(part.path) as file:
        rate = file.rate
    samples = read_piece(part.path, rate, part.start, part.end - part.start)
    return as_wav(samples, rate, subtype)


def as_wav(samples: np.ndarray, rate: int, subtype: str) -> bytes:
    """The content of a WAV file; soundfile would hide why one cannot be written."""
    content = io.BytesIO()
    sf.write(content, samples, rate, subtype, format="WAV")
    return content.getvalue()


def mono_waveform(wav: np.ndarray) -> np.ndarray:
    """Converts samples to mono float32.

    They are floating-point numbers or, as in WAV files, 16-bit integers, of the
    shape ``[S]``, ``[S, channels]`` or ``[channels, S]`` with up to 8 channels.

    Raises
    ------
    InputError
        If the array has another shape or type.
    """
    wav = np.asarray(wav)
    if wav.ndim == 2 and wav.shape[1] > MAX_CHANNELS:
        wav = wav.T
    if wav.ndim not in (1, 2) or (
        wav.ndim == 2 and not 1 <= wav.shape[1] <= MAX_CHANNELS
    ):
        raise InputError(
            f"An array has the shape {wav.shape} instead of [samples], "
            "[samples, channels] or [channels, samples], with at most "
            f"{MAX_CHANNELS} channels."
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
