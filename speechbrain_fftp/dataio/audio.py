"""Reads and resamples audio files, whose headers are not trusted.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import io
import math
import os
import re
from typing import Iterable, Iterator, List, Tuple

import numpy as np
import soundfile as sf

from speechbrain_fftp.dataio.ffmpeg import (
    FFMPEG_EXTENSIONS,
    MAX_SECONDS,
    Source,
    readable_source,
)
from speechbrain_fftp.dataio.files import atomic_path

# What is looked for in folders, the most common first
AUDIO_EXTENSIONS = (
    *(".flac", ".wav", ".ogg", ".mp3", ".opus"),
    *FFMPEG_EXTENSIONS,
    *(".oga", ".aif", ".aiff", ".aifc", ".au", ".snd"),
    *(".caf", ".w64", ".rf64"),  # codespell:ignore caf
)
# Types of samples that a WAV file can hold, and how they are read exactly
WAV_DTYPES = {
    "PCM_U8": "int32",
    "PCM_16": "int32",
    "PCM_24": "int32",
    "PCM_32": "int32",
    "FLOAT": "float32",
    "DOUBLE": "float64",
}
MIN_RATE, MAX_RATE = 1000, 768000  # Hz
MIN_SECONDS = 0.025  # one frame
MAX_LEVEL = 100  # times full scale
MAX_FRAMES = 2**29  # 3 hours at 48 kHz
BLOCK_VALUES = 2**20
# What libsndfile logs about sizes that exceed the file
CUT_SIZE = re.compile(
    r"^ *(?:data|Data Size|SSND|riff|Riff size) *: (\d+) \(should be (\d+)",
    re.MULTILINE,
)
STREAMED_SIZE = 0x7FFF0000  # headers of files written to a pipe claim more
UNKNOWN_FRAMES = 2**60  # headers of streamed FLAC files claim more


def find_audio_files(folder: str) -> Tuple[List[str], List[OSError]]:
    """Finds the audio files below a folder by their extensions, sorted.

    Returns
    -------
    files : list of str
        Their paths, which begin with that of the folder.
    errors : list of OSError
        Of folders that cannot be read.
    """
    files, errors = [], []
    for place, subfolders, names in os.walk(folder, onerror=errors.append):
        subfolders.sort()
        files += [
            os.path.join(place, name)
            for name in sorted(names)
            if name.lower().endswith(AUDIO_EXTENSIONS)
        ]
    return files, errors


class _AudioFile(sf.SoundFile):
    """An audio file that is read without a seek after each block.

    At such a seek, decoders of streamed or damaged FLAC files fail. The source
    is a seekable binary file, at its start.
    """

    found = 0  # samples per channel that were read so far

    def __init__(self, source):
        # Whether it was decoded by ffmpeg, and whether that missed the end
        self.decoded = hasattr(source, "truncated")
        self.truncated = getattr(source, "truncated", False)
        # By descriptor, or soundfile would infer the format from the name
        if isinstance(source, io.FileIO):
            source = source.fileno()
        super().__init__(source, closefd=False)
        self.seekable = lambda: False  # or soundfile would seek

    def missing_part(self):
        """How much a file lacks that was read to its end: "0.5 of 1 s", or "".

        Known from the sizes in the header (WAV, AIFF, AU, W64, RF64), the
        number of samples (FLAC) or ffmpeg. The end of an Ogg or MP3 file is not
        missed.
        """
        whole = self.found
        cut = CUT_SIZE.search(self.extra_info)
        if cut and int(cut[1]) < STREAMED_SIZE:
            claimed, actual = int(cut[1]), max(int(cut[2]), 1)
            whole = math.inf
            if self.found:
                whole = math.ceil(self.found * claimed / actual)
        elif self.format == "FLAC" and self.frames < UNKNOWN_FRAMES:
            whole = self.frames
        elif self.truncated:
            whole = math.inf
        if whole <= self.found:
            return ""
        seconds = "?"
        if whole < math.inf:
            seconds = f"{whole / self.samplerate:.6g}"
        return f"{self.found / self.samplerate:.6g} of {seconds} s"


def read_audio(
    source: Source,
    max_seconds: float = math.inf,
    start_seconds: float = 0.0,
) -> Tuple[np.ndarray, int]:
    """Reads an audio file, or a part of it, and averages the channels.

    Returns the mono waveform ``[S]`` in float32, and its sampling rate in Hz.

    Raises
    ------
    ValueError
        If the source, see ``open_audio``, is empty, unreadable, truncated or
        too long to be read at once, or has an invalid sampling rate or samples.
    """
    with open_audio(source, start_seconds + max_seconds) as file:
        rate = file.samplerate
        limit = int(min(MAX_FRAMES, MAX_SECONDS * rate))
        wanted = math.ceil(min(max_seconds * rate, limit + 1))
        if start_seconds:
            first = round(start_seconds * rate)
            file.found = file.seek(min(first, file.frames))
        blocks = [np.zeros(0, np.float32), *mono_blocks(file, wanted)]
        samples = np.concatenate(blocks)
        if len(samples) < wanted and (missing := file.missing_part()):
            raise ValueError(f"truncated: {missing}")
    if len(samples) > limit:
        raise ValueError(f"longer than {limit} samples: cut it into parts")
    return samples, rate


def cut_audio(
    source: Source, path: str, start_seconds: float, end_seconds: float
) -> None:
    """Writes a part of an audio file as a WAV file, which must not exist.

    Samples, rate and channels are those of the source. Where it cannot be
    read from the middle, channels are averaged.

    Raises
    ------
    FileExistsError
        If there is such a file.
    ValueError
        As ``read_audio``, or if the source has ended before.
    """
    if os.path.lexists(path):
        raise FileExistsError(f"{path} exists and is not overwritten.")
    try:
        samples, rate, subtype = _read_part(source, start_seconds, end_seconds)
    except ValueError:
        samples, rate = read_audio(source, end_seconds)
        samples = samples[round(start_seconds * rate) :]
        subtype = "FLOAT"
    if not len(samples):
        raise ValueError(f"the file ends before {start_seconds:g} s")
    with atomic_path(path) as temporary_path:
        sf.write(temporary_path, samples, rate, subtype, format="WAV")


def _read_part(source, start_seconds, end_seconds):
    """Samples ``[S, C]`` of a part, their rate and the subtype of a WAV file.

    Those of whole numbers stay whole numbers, so that none is rounded.
    """
    with open_audio(source, end_seconds) as file:
        rate = file.samplerate
        subtype = file.subtype if file.subtype in WAV_DTYPES else "FLOAT"
        first = round(start_seconds * rate)
        last = min(round(end_seconds * rate), file.frames)
        file.seek(min(first, file.frames))
        samples = file.read(
            frames=max(last - first, 0),
            dtype=WAV_DTYPES[subtype],
            always_2d=True,
        )
    return samples, rate, subtype


@contextlib.contextmanager
def open_audio(
    source: Source, max_seconds: float = math.inf
) -> Iterator[sf.SoundFile]:
    """Opens audio, through ffmpeg if need be, whatever its name is.

    For the source and ``max_seconds`` see ``readable_source``. Yields a SoundFile.
    After it was read, its ``missing_part()`` says what it lacks, such as
    "0.5 of 1 s", or is empty.

    Raises
    ------
    ValueError
        If the file is empty or unreadable, also while the block reads it, or
        has an invalid sampling rate.
    """
    try:
        with contextlib.ExitStack() as stack:
            content = stack.enter_context(readable_source(source, max_seconds))
            file = stack.enter_context(_AudioFile(content))
            rate = file.samplerate
            if not MIN_RATE <= rate <= MAX_RATE:
                raise ValueError(
                    f"sampling rate of {rate} Hz, not in {MIN_RATE}..{MAX_RATE}"
                )
            yield file
    except sf.LibsndfileError as err:
        raise ValueError(f"unreadable or truncated: {err.error_string}")


def mono_blocks(
    file: sf.SoundFile, frames: float = math.inf
) -> Iterator[np.ndarray]:
    """Yields mono blocks ``[S]`` of an open file, up to its damage.

    At most a number of frames.

    Raises
    ------
    ValueError
        If samples are not finite, or exceed ``MAX_LEVEL``.
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


def resampled_blocks(
    blocks: Iterable[np.ndarray], rate: int, sample_rate: int
) -> Iterator[np.ndarray]:
    """Resamples blocks of audio, float32 ``[S]``, of any sizes with soxr (VHQ).

    Rates are in Hz. soxr is needed if they differ.
    """
    if rate == sample_rate:
        yield from blocks
        return
    try:
        import soxr
    except ImportError:
        raise ImportError("Resampling needs soxr: pip install soxr") from None
    stream = soxr.ResampleStream(rate, sample_rate, 1, "float32", "VHQ")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def resample(samples: np.ndarray, rate: int, sample_rate: int) -> np.ndarray:
    """A waveform ``[S]`` at a new rate, see ``resampled_blocks``."""
    blocks = [np.asarray(samples, np.float32)]
    return np.concatenate(list(resampled_blocks(blocks, rate, sample_rate)))
