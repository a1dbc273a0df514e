"""Reads audio files of any format, by libsndfile or else by ffmpeg.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import io
import itertools
import logging
import math
import os
import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO, NamedTuple

import numpy as np
import soundfile as sf

from fftp_tag.errors import InputError
from fftp_tag.files import files_below

logger = logging.getLogger(__name__)

Source = str | os.PathLike | bytes  # a path, or the content of a file

# Extensions of audio files, the most common first
AUDIO_EXTENSIONS = (
    *(".flac", ".wav", ".ogg", ".mp3", ".opus"),
    *(".m4a", ".mp4", ".webm", ".aac", ".mkv", ".mov"),
    *(".m4b", ".mka", ".3gp", ".wma"),
    *(".oga", ".aif", ".aiff", ".aifc", ".au", ".snd"),
    *(".caf", ".w64", ".rf64"),  # codespell:ignore caf
)
# Containers that ffmpeg may open: a playlist could name other files
FFMPEG_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,aac,asf"
AU_HEADER = struct.Struct(">4s5I")  # as ffmpeg writes it
MIN_RATE, MAX_RATE = 1000, 768000  # Hz
MIN_SECONDS = 0.025  # one frame
MAX_LEVEL = 100  # times full scale
SILENT_BELOW = 1e-4  # of full scale: audio without a sample of this level
BLOCK = 2**14  # frames that are read at a time
UNKNOWN_FRAMES = 2**60  # headers of streamed FLAC files claim more
SMALL_BLOCK = 2**10  # frames that are read at a time where they are damaged
# What libsndfile logs of a file that ends early: the stated size of the samples
# in bytes and the real one, or that the last Ogg page is cut; and of lost pages
STATED_SIZE = re.compile(
    r"^ *(?:data|SSND|Data Size|riff|Riff size) *: (\d+) \(should be (\d+)\)",
    re.MULTILINE,
)
CUT_PAGE = "Junk after the last page."
LOST_PAGES = "reports a hole"
# What ffmpeg logs of damage that it reads across
FFMPEG_DAMAGE = re.compile(
    rb"Error while decoding|Error submitting packet|partial file|"
    rb"File ended prematurely|invalid as first byte"
)
# Stated by programs that write a stream, of unknown length, give or take 2**16
UNKNOWN_SIZES = (2**31, 2**32)
low_rates: set[int] = set()  # that were warned of


class DamagedAudio(InputError):
    """Some of an audio file is missing or damaged; the rest was read.

    Arguments
    ---------
    seconds : float
        What was read.
    stated : float, optional
        What should be there, if the format tells.

    Example
    -------
    >>> print(DamagedAudio(3.5, 8.0))
    damaged: 3.5 of 8 s can be read
    """

    def __init__(self, seconds: float, stated: float | None = None):
        of = "" if stated is None else f" of {stated:g}"
        super().__init__(f"damaged: {seconds:g}{of} s can be read")
        self.seconds, self.stated = seconds, stated

    def to_dict(self) -> dict[str, float | None]:
        """What was read and what should be there, by name."""
        return {"seconds_read": self.seconds, "seconds_stated": self.stated}


class OpenAudio(NamedTuple):
    """An open audio file.

    Its sampling rate in Hz; its number of frames, if the format tells; and its
    mono blocks ``[S]`` in float32.
    """

    rate: int
    frames: int | None
    blocks: Iterator[np.ndarray]


def find_audio_files(folder: str) -> tuple[list[str], list[OSError]]:
    """Finds the audio files below a folder by their extensions, sorted.

    Returns
    -------
    files : list of str
        Their paths, which begin with that of the folder.
    errors : list of OSError
        Of folders that cannot be read.

    Raises
    ------
    OSError
        If there are no files.
    """
    errors: list[OSError] = []
    files = [
        os.path.join(folder, path)
        for path in files_below(folder, errors.append)
        if path.lower().endswith(AUDIO_EXTENSIONS)
    ]
    if not files and errors:
        raise errors[0]
    if not files:
        extensions = ", ".join(AUDIO_EXTENSIONS)
        raise FileNotFoundError(f"{folder} has no audio files ({extensions}).")
    return files, errors


def list_recordings(source: str | os.PathLike) -> list[str]:
    """Lists the audio files in a folder, sorted; or a single file.

    Raises
    ------
    OSError
        If there are no audio files, or a folder cannot be read.
    """
    if os.path.isfile(source):
        return [os.fspath(source)]
    files, errors = find_audio_files(os.fspath(source))
    if errors:
        raise errors[0]
    return files


@contextlib.contextmanager
def open_audio(source: Source, start: float = 0.0) -> Iterator[OpenAudio]:
    """Opens audio at a time in seconds; the content decides its format.

    Its blocks end with DamagedAudio if some of the file is missing, as far as
    the format tells. Where it tells which, as FLAC, Ogg and what ffmpeg reads
    do, silence takes its place; what an MP3 lacks in the middle is not noticed.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    InputError
        If it cannot be read, or has samples or a rate that cannot be.
    """
    with contextlib.ExitStack() as stack:
        content = open_binary(source, stack)
        if not content.read(1):
            raise InputError("empty file")
        content.seek(0)
        try:
            file = open_soundfile(content)
        except sf.LibsndfileError as error:
            if isinstance(source, bytes):  # ffmpeg has to seek
                copy = stack.enter_context(tempfile.NamedTemporaryFile())
                copy.write(source)
                copy.flush()
                source = copy.name
            log = stack.enter_context(tempfile.TemporaryFile())
            process = start_ffmpeg(source, start, log, error.error_string)
            stack.enter_context(process)
            stack.callback(process.kill)
            rate, channels = read_au_header(process, log)
            frames = None
            blocks = ffmpeg_blocks(process, log, rate, channels)
        else:
            rate = file.samplerate
            frames = file.frames if file.frames < UNKNOWN_FRAMES else None
            blocks = soundfile_blocks(file, content, start)
        if not MIN_RATE <= rate <= MAX_RATE:
            raise InputError(
                f"sampling rate of {rate} Hz, not in {MIN_RATE}..{MAX_RATE}"
            )
        yield OpenAudio(rate, frames, blocks)


def open_binary(
    source: Source, stack: contextlib.ExitStack
) -> io.BytesIO | io.FileIO:
    """Opens a source as a binary file, until the stack ends."""
    if isinstance(source, bytes):
        return io.BytesIO(source)
    if not os.path.exists(source):
        raise FileNotFoundError(f"{source}: there is no such file.")
    if not os.path.isfile(source):
        raise InputError("not a regular file")
    return stack.enter_context(open(source, "rb", buffering=0))


def open_soundfile(content: io.BytesIO | io.FileIO) -> sf.SoundFile:
    """Opens a binary file by libsndfile, also if another object reads it."""
    content.seek(0)
    # A descriptor: soundfile would infer the format from a name
    target = content if isinstance(content, io.BytesIO) else content.fileno()
    return sf.SoundFile(target, closefd=False)


def soundfile_blocks(
    file: sf.SoundFile, content: io.BytesIO | io.FileIO, start: float
) -> Iterator[np.ndarray]:
    """Yields mono blocks of an open file, from a time in seconds.

    Some formats, such as GSM 6.10, cannot be sought: they are read from their
    beginning.
    """
    rate, frames = file.samplerate, file.frames
    first = round(start * rate)
    can_seek = file.seekable()
    position = min(first, frames) if can_seek else 0  # of the next block
    has_to_seek = position > 0
    is_damaged = False
    n_heard = 0  # frames after the start
    gap = 0  # damaged frames before the position
    size = BLOCK
    n_holes = hole_frames = 0  # of an Ogg file, and frames that each has lost
    while position < frames:
        try:
            if has_to_seek:
                file.seek(position)
            # Otherwise soundfile seeks after each block, and streamed FLAC
            # files fail
            file.seekable = lambda: False
            count = min(size, frames - position)
            block = file.read(count, dtype="float32", always_2d=True)
        except sf.LibsndfileError:
            if not can_seek or frames >= UNKNOWN_FRAMES:
                is_damaged = True
                break
            if size == BLOCK:
                size = SMALL_BLOCK  # to find where the damage begins
            else:  # few trials for a file without its end
                step = max(SMALL_BLOCK, gap // 8)
                position, gap = position + step, gap + step
            file.close()
            file, has_to_seek = open_soundfile(content), True
            continue
        if not len(block):
            break
        has_to_seek = False
        if gap:
            yield from silence(gap)
            size, gap = BLOCK, 0
        skipped, position = first - position, position + len(block)
        if position > first:
            block = block[max(skipped, 0) :]
            check_samples(block)
            n_heard += len(block)
            yield mono(block)
        if file.format == "OGG":
            n_new = file.extra_info.count(LOST_PAGES) - n_holes
            if n_new and not n_holes:
                hole_frames = measure_holes(content)
            n_holes += n_new
            yield from silence(n_new * hole_frames)
            position += n_new * hole_frames
    if frames >= UNKNOWN_FRAMES:
        if is_damaged:
            raise DamagedAudio(n_heard / rate)
        return
    stated = stated_frames(file) - first
    if CUT_PAGE in file.extra_info:
        raise DamagedAudio(n_heard / rate)
    if n_heard < stated:
        raise DamagedAudio(n_heard / rate, stated / rate)


def silence(n_frames: int) -> Iterator[np.ndarray]:
    """Yields blocks of so many zeros."""
    for first in range(0, n_frames, BLOCK):
        yield np.zeros(min(BLOCK, n_frames - first), np.float32)


def measure_holes(content: io.BytesIO | io.FileIO) -> int:
    """How many frames each hole of an Ogg file has lost, on average."""
    position = content.tell()
    file = open_soundfile(content)
    file.seekable = lambda: False  # a seek would hide holes
    n_lost = file.frames
    while n_read := len(file.read(BLOCK, dtype="float32")):
        n_lost -= n_read
    content.seek(position)
    return n_lost // max(file.extra_info.count(LOST_PAGES), 1)


def stated_frames(file: sf.SoundFile) -> int:
    """How many frames a file should have; libsndfile corrects what it says."""
    share = 1.0
    for stated, real in STATED_SIZE.findall(file.extra_info):
        is_known = all(abs(int(stated) - x) > 2**16 for x in UNKNOWN_SIZES)
        if int(stated) > int(real) > 0 and is_known:
            share = int(stated) / int(real)
    return round(file.frames * share)


def start_ffmpeg(
    path: str | os.PathLike, start: float, log: IO[bytes], why: str
) -> subprocess.Popen:
    """Starts decoding the first audio stream of a file, as big-endian float32.

    Its messages go to the file ``log``, since a pipe that nobody reads would
    stop it. ``why`` says why libsndfile cannot read the file.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        raise InputError(
            f"{why} Install ffmpeg to read m4a, mp4, webm, aac and wma, or"
            " convert the file to wav"
        )
    command = [
        *(program, "-nostdin", "-v", "error", "-protocol_whitelist"),
        "file,pipe",
        *("-format_whitelist", FFMPEG_FORMATS, "-ss", f"{start:.6f}"),
        *("-i", f"file:{os.path.abspath(path)}", "-map", "0:a:0"),
        # Silence where the timestamps have a gap, or start late
        *("-af", "aresample=async=1:first_pts=0"),
        *("-f", "au", "-c:a", "pcm_f32be", "-"),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)


def read_au_header(
    process: subprocess.Popen, log: IO[bytes]
) -> tuple[int, int]:
    """Reads sampling rate and number of channels from ffmpeg's output."""
    assert process.stdout is not None
    header = process.stdout.read(AU_HEADER.size)
    if len(header) < AU_HEADER.size:
        raise InputError(f"ffmpeg: {last_line(process, log)}")
    _, offset, _, _, rate, channels = AU_HEADER.unpack(header)
    process.stdout.read(offset - AU_HEADER.size)
    return rate, channels


def ffmpeg_blocks(
    process: subprocess.Popen, log: IO[bytes], rate: int, channels: int
) -> Iterator[np.ndarray]:
    """Yields the mono blocks that ffmpeg writes."""
    assert process.stdout is not None
    frame_size = 4 * channels  # bytes
    n_read = 0
    while content := process.stdout.read(frame_size * BLOCK):
        size = len(content) // frame_size  # the last frame may be cut
        block = np.frombuffer(content, ">f4", size * channels)
        block = block.astype(np.float32).reshape(size, channels)
        check_samples(block)
        n_read += size
        yield mono(block)
    if process.wait() and not n_read:
        raise InputError(f"ffmpeg: {last_line(process, log)}")
    log.seek(0)
    if process.returncode or FFMPEG_DAMAGE.search(log.read()):
        raise DamagedAudio(n_read / rate)


def last_line(process: subprocess.Popen, log: IO[bytes]) -> str:
    """The last line of ffmpeg's messages."""
    process.wait()
    log.seek(0)
    text = log.read().decode("utf-8", "replace")
    if "matches no streams" in text:  # before hints
        return "no sound in it"
    lines = text.splitlines()
    # Without the name of the file, which callers add
    return lines[-1].rpartition(": ")[2][:200] if lines else "no audio"


def mono(block: np.ndarray) -> np.ndarray:
    """The mean of the channels of samples ``[S, channels]``, in float32."""
    n_channels = block.shape[1]
    if n_channels == 1:
        return block[:, 0]
    # Twenty times as fast as numpy.mean over an axis of two values
    return block @ np.full(n_channels, 1 / n_channels, np.float32)


def check_samples(block: np.ndarray) -> None:
    """Raises an InputError if samples are not finite or far too large."""
    peak = max(block.max(initial=0.0), -block.min(initial=0.0))
    if not np.isfinite(peak):
        raise InputError("samples that are not finite")
    if peak > MAX_LEVEL:
        raise InputError(
            f"samples beyond full scale: up to {peak:.3g}, but those of"
            " floating-point files must be in -1..1"
        )


def stream_audio(
    source: Source,
    sample_rate: int,
    start: float = 0.0,
    seconds: float = math.inf,
) -> Iterator[np.ndarray]:
    """Yields mono blocks ``[S]`` of audio, or a part of it, at a rate in Hz.

    Raises
    ------
    FileNotFoundError, InputError
        See ``open_audio``; or it ends before the part.
    """
    name = "the audio" if isinstance(source, bytes) else os.fspath(source)
    with open_audio(source, start) as audio:
        blocks = first_samples(audio.blocks, seconds * audio.rate)
        if start > 0:
            first = next(blocks, np.zeros(0, np.float32))
            if not len(first):
                raise InputError(f"{name} ends before {start:g} s")
            blocks = itertools.chain([first], blocks)
        yield from resampled_blocks(blocks, audio.rate, sample_rate, name)


def warn_of_low_rate(rate: int, sample_rate: int, name: str) -> None:
    """Warns once of each sampling rate below the required one."""
    if rate < sample_rate and rate not in low_rates:
        low_rates.add(rate)
        logger.warning(
            "%s has a sampling rate of %d Hz, below %d Hz: it lacks high"
            " frequencies, which may change its tags",
            name,
            rate,
            sample_rate,
        )


def first_samples(
    blocks: Iterator[np.ndarray], count: float
) -> Iterator[np.ndarray]:
    """Yields blocks up to a number of samples."""
    for block in blocks:
        if len(block) >= count:
            yield block[: round(count)]
            return
        count -= len(block)
        yield block


def read_audio(
    source: Source,
    sample_rate: int,
    start: float = 0.0,
    seconds: float = math.inf,
) -> np.ndarray:
    """The waveform ``[S]`` of audio, or of a part; see ``stream_audio``."""
    blocks = stream_audio(source, sample_rate, start, seconds)
    return np.concatenate([np.zeros(0, np.float32), *blocks])


def read_duration(source: Source) -> float:
    """The length of audio in seconds; read in full if the header lacks it."""
    with open_audio(source) as audio:
        frames = audio.frames
        if frames is None:
            frames = sum(map(len, audio.blocks))
        return frames / audio.rate


def resampled_blocks(
    blocks: Iterable[np.ndarray],
    rate: int,
    sample_rate: int,
    name: str = "the audio",
) -> Iterator[np.ndarray]:
    """Resamples float32 blocks ``[S]`` of any size with soxr (VHQ).

    Rates are in Hz; ``name`` is that of the audio in a warning.
    """
    warn_of_low_rate(rate, sample_rate, name)
    if rate == sample_rate:
        yield from blocks
        return
    import soxr

    stream = soxr.ResampleStream(rate, sample_rate, 1, "float32", "VHQ")
    damage = None
    try:
        for block in blocks:
            yield stream.resample_chunk(block)
    except DamagedAudio as error:
        damage = error
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)
    if damage is not None:
        raise damage
