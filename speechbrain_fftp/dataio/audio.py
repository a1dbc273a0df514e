"""Reads and resamples audio files, whose headers are not trusted.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import io
import math
import re

import numpy as np
import soundfile as sf

from speechbrain_fftp.dataio.ffmpeg import (
    FFMPEG_EXTENSIONS,
    MAX_SECONDS,
    readable_source,
    skip_tag,
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
# What libsndfile logs about sizes that exceed the file
CHUNKS = "data|Data Size|SSND|riff|Riff size"
CUT_SIZE = rf"(?m)^ *(?:{CHUNKS}) *: (\d+) \(should be (\d+)"
STREAMED_SIZE = 0x7FFF0000  # headers of files written to a pipe claim more
# The header of an MP3 file, and a flag that it has the number of frames
XING = rb"(?:Xing|Info)\0\0\0[\1\3\5\7\x09\x0b\x0d\x0f]"


class _AudioFile(sf.SoundFile):
    """An audio file that is read without a seek after each block.

    At such a seek, decoders of streamed or damaged FLAC files fail. The source
    is a seekable binary file, at its start.
    """

    found = 0  # samples per channel that were read so far

    def __init__(self, source):
        self.source = source
        self.decoded = hasattr(source, "truncated")  # by ffmpeg
        # By descriptor, or soundfile would infer the format from the name
        if isinstance(source, io.FileIO):
            source = source.fileno()
        super().__init__(source, closefd=False)
        self.seekable = lambda: False  # or soundfile would seek

    def missing_part(self):
        """How much a file lacks that was read to its end: "0.5 of 1 s", or "".

        Known from sizes in headers (WAV, AIFF, AU, W64, RF64, FLAC), the last
        page (Ogg), the number of frames (MP3 with a Xing header) or ffmpeg; of
        joined files, of which only the first is read, from what is left.
        """
        whole, slack, rate = self.found, 0, self.samplerate
        place, size = self.source.tell(), self.source.seek(0, io.SEEK_END)
        cut = re.search(CUT_SIZE, self.extra_info)
        if cut and int(cut[1]) < STREAMED_SIZE:
            whole = -(-self.found * int(cut[1]) // max(int(cut[2]), 1))
            whole = whole if self.found else math.inf
        elif self.format == "FLAC" and self.frames < 2**60:
            whole = self.frames
        elif self.format == "OGG" and not self._has_last_page():
            whole = math.inf
        elif self.format == "MP3":
            skip_tag(self.source)
            if re.search(XING, self.source.read(2**20)):
                whole, slack = self.frames, 0.1 * rate  # padding
        elif self.decoded and self.source.truncated:
            whole = math.inf
        if whole - slack <= self.found:
            if self.format not in ("FLAC", "OGG", "MP3") or place > 0.9 * size:
                return ""
            self.source.seek(max(size - 160, 0))
            if b"APETAGEX" in self.source.read():  # a tag at the end
                return ""
            whole = math.inf
        whole = "?" if whole == math.inf else f"{whole / rate:.6g}"
        return f"{self.found / rate:.6g} of {whole} s"

    def _has_last_page(self):
        """Whether an Ogg file ends with a whole page that is marked as last."""
        size = self.source.seek(0, io.SEEK_END)
        self.source.seek(max(size - 2**17, 0))
        tail = self.source.read(2**17)
        page = tail[max(tail.rfind(b"OggS"), 0) :]
        lengths = page[27 : 27 + page[26]] if len(page) > 26 else b""
        is_whole = len(page) >= 27 + len(lengths) + sum(lengths)
        return is_whole and bool(page[5] & 4)


def read_audio(source, max_seconds=math.inf, start_seconds=0.0):
    """Reads an audio file, or a part of it, and averages the channels.

    Returns the mono waveform ``[S]`` in float32, its sampling rate in Hz, and
    the file's number of channels and length in frames. A source, see
    ``open_audio``, that is empty, unreadable, truncated or too long to be read
    at once, or has an invalid sampling rate or invalid samples, is a
    ValueError.
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

    For the source and ``max_seconds`` see ``readable_source``. Yields a SoundFile.
    After it was read, its ``missing_part()`` says what it lacks, such as
    "0.5 of 1 s", or is empty. A file that is empty or unreadable, also while
    the block reads it, or has an invalid sampling rate is a ValueError.
    """
    try:
        opened = readable_source(source, max_seconds)
        with opened as content, _AudioFile(content) as file:
            rate, limits = file.samplerate, f"{MIN_RATE}..{MAX_RATE}"
            if not MIN_RATE <= rate <= MAX_RATE:
                raise ValueError(f"sampling rate of {rate} Hz, not in {limits}")
            yield file
    except sf.LibsndfileError as err:
        raise ValueError(f"unreadable or truncated: {err.error_string}")


def mono_blocks(file, frames=math.inf):
    """Yields mono blocks ``[S]`` of an open file, up to its damage.

    At most a number of frames. Samples that are not finite, or exceed
    ``MAX_LEVEL``, are a ValueError.
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
    """Resamples blocks of audio, float32 ``[S]``, of any sizes with soxr (VHQ).

    Rates are in Hz; if they differ and soxr is missing, it is an ImportError.
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
    """A waveform ``[S]`` at a new rate, see ``resampled_blocks``."""
    blocks = [np.asarray(samples, np.float32)]
    return np.concatenate([*resampled_blocks(blocks, rate, sample_rate)])
