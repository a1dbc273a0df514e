"""Reads and resamples audio files.

libsndfile decodes them, or else ffmpeg, if it is on the PATH.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import io
import math
import os
import shutil
import subprocess
import tempfile
from typing import BinaryIO, Iterable, Iterator, List, Tuple, Union

import numpy as np
import soundfile as sf

# A path, the content of a file, or a seekable binary file
Source = Union[str, os.PathLike, bytes, BinaryIO]

# What is looked for in folders, the most common first
AUDIO_EXTENSIONS = (
    *(".flac", ".wav", ".ogg", ".mp3", ".opus"),
    *(".m4a", ".mp4", ".webm", ".aac", ".mkv", ".mov"),
    *(".m4b", ".mka", ".3gp", ".wma"),
    *(".oga", ".aif", ".aiff", ".aifc", ".au", ".snd"),
    *(".caf", ".w64", ".rf64"),  # codespell:ignore caf
)
# Those that ffmpeg may open: playlists would lead to other files
FFMPEG_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,aac,asf"
FFMPEG_TIMEOUT = 600  # seconds
MIN_RATE, MAX_RATE = 1000, 768000  # Hz
MIN_SECONDS = 0.025  # one frame
MAX_LEVEL = 100  # times full scale
BLOCK_VALUES = 2**12  # of a damaged block, nothing is read
UNKNOWN_FRAMES = 2**60  # headers of streamed FLAC files claim more


class TruncatedAudio(ValueError):
    """The end of an audio file is missing; what is there was read."""


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


@contextlib.contextmanager
def open_audio(source: Source) -> Iterator[sf.SoundFile]:
    """Opens audio, through ffmpeg if need be, whatever its name is.

    Raises
    ------
    ValueError
        If the source is empty, no regular file or unreadable, also while the
        block reads it, or has an invalid sampling rate.
    """
    try:
        with contextlib.ExitStack() as stack:
            content = _open_binary(source, stack)
            try:
                file = stack.enter_context(_open_soundfile(content))
            except sf.LibsndfileError as error:
                decoded = stack.enter_context(tempfile.TemporaryFile())
                _decode(content, decoded, why=error.error_string)
                file = stack.enter_context(_open_soundfile(decoded))
            if not MIN_RATE <= file.samplerate <= MAX_RATE:
                raise ValueError(
                    f"sampling rate of {file.samplerate} Hz, not in"
                    f" {MIN_RATE}..{MAX_RATE}"
                )
            yield file
    except sf.LibsndfileError as error:
        raise ValueError(f"unreadable: {error.error_string}") from error


def _open_binary(source, stack):
    """Opens a source as a binary file, at its start."""
    if isinstance(source, bytes):
        content = io.BytesIO(source)
    elif hasattr(source, "read"):
        content = source
    elif os.path.isfile(source):
        content = stack.enter_context(open(source, "rb", buffering=0))
    else:
        raise ValueError("not a regular file")
    if content.seek(0, os.SEEK_END) == 0:
        raise ValueError("empty file")
    content.seek(0)
    return content


def _open_soundfile(content):
    """Opens a binary file with libsndfile."""
    # By descriptor: soundfile would infer a format from the name
    if isinstance(content, io.FileIO):
        content = content.fileno()
    file = sf.SoundFile(content, closefd=False)
    # Or soundfile seeks after each block, where streamed FLAC files fail
    file.seekable = lambda: False
    return file


def _decode(content, decoded, why):
    """Decodes a binary file with ffmpeg, to one of the AU format.

    ``why`` says why libsndfile cannot read it.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        raise ValueError(
            f"unreadable: {why} Install ffmpeg to read m4a, mp4, webm, aac and"
            " wma, or convert the file to wav"
        )
    with tempfile.NamedTemporaryFile() as copy:  # ffmpeg has to seek
        content.seek(0)
        shutil.copyfileobj(content, copy)
        copy.flush()
        command = [
            *(program, "-nostdin", "-v", "error"),
            *("-protocol_whitelist", "file,pipe"),
            *("-format_whitelist", FFMPEG_FORMATS),
            *("-i", f"file:{copy.name}", "-map", "0:a:0"),
            # Silence where the timestamps have a gap, or start late
            *("-af", "aresample=async=1:first_pts=0"),
            *("-f", "au", "-c:a", "pcm_f32be", "-"),
        ]
        try:
            subprocess.run(
                command,
                stdout=decoded,
                stderr=subprocess.PIPE,
                check=True,
                timeout=FFMPEG_TIMEOUT,
            )
        except subprocess.CalledProcessError as error:
            lines = error.stderr.decode("utf-8", "replace").splitlines()
            reason = lines[-1][:200] if lines else str(error)
            raise ValueError(f"unreadable: ffmpeg: {reason}") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ValueError(f"unreadable: {error}") from error
    decoded.seek(0)


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
        As ``open_audio`` and ``mono_blocks``.
    """
    with open_audio(source) as file:
        rate = file.samplerate
        if start_seconds:
            file.seek(min(round(start_seconds * rate), file.frames))
        blocks = mono_blocks(file, max_seconds * rate)
        samples = np.concatenate([np.zeros(0, np.float32), *blocks])
    return samples, rate


def cut_audio(
    source: Source, path: str, start_seconds: float, end_seconds: float
) -> None:
    """Writes a part of an audio file as a floating-point WAV file.

    Raises
    ------
    FileExistsError
        If there is such a file.
    ValueError
        As ``open_audio``, or if the source has ended before.
    """
    with open_audio(source) as file:
        first = round(start_seconds * file.samplerate)
        file.seek(min(first, file.frames))
        last = round(end_seconds * file.samplerate)
        samples = file.read(last - first, dtype="float32", always_2d=True)
        rate = file.samplerate
    if not len(samples):
        raise ValueError(f"the file ends before {start_seconds:g} s")
    with open(path, "xb") as file:
        sf.write(file, samples, rate, "FLOAT", format="WAV")


def mono_blocks(
    file: sf.SoundFile, frames: float = math.inf
) -> Iterator[np.ndarray]:
    """Yields mono blocks ``[S]`` of an open file from its current position.

    At most a number of frames.

    Raises
    ------
    TruncatedAudio
        At the end, if the file has fewer samples than its header says, or is
        damaged. It is not known of all formats.
    ValueError
        If samples are not finite, or exceed ``MAX_LEVEL``.
    """
    left = math.ceil(min(frames, file.frames - file.tell()))
    n_read = 0
    damage = None
    while left > 0:
        size = min(left, BLOCK_VALUES // file.channels)
        try:
            block = file.read(size, dtype="float32", always_2d=True)
        except sf.LibsndfileError as error:
            damage = error.error_string
            break
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
        yield block.mean(axis=1) if file.channels > 1 else block[:, 0]
        left -= len(block)
        n_read += len(block)
    if damage or (left > 0 and file.frames < UNKNOWN_FRAMES):
        seconds = n_read / file.samplerate
        raise TruncatedAudio(f"truncated: only {seconds:g} s can be read")


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
