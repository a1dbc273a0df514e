"""Opens audio sources, and decodes with ffmpeg what libsndfile cannot read.

ffmpeg is used if it is on the PATH. It gets only files that begin like a known
container, and the demuxer for it, so that playlists are never followed.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import io
import math
import os
import re
import shutil
import subprocess
from tempfile import TemporaryDirectory, TemporaryFile
from typing import BinaryIO, Iterator, Union

import soundfile as sf

# A path, content, or a binary file object
Source = Union[str, os.PathLike, bytes, BinaryIO]

FFMPEG_EXTENSIONS = (
    *(".m4a", ".mp4", ".webm", ".aac", ".mkv", ".mov"),
    *(".m4b", ".mka", ".3gp", ".wma"),
)
MAX_SECONDS = 2**29 / 16000  # 9 hours
MAX_BYTES = 2**32 - 2**20  # of the decoded file, 6 hours of 48 kHz stereo
TIMEOUT = 600  # seconds of one run of ffmpeg
# The first bytes of a file, and the demuxer for it
CONTAINERS = (
    (rb"....(?:ftyp|moov|mdat|wide|free|skip)", "mov"),
    (rb"\x1aE\xdf\xa3", "matroska"),
    (rb"\xff[\xf0\xf1\xf8\xf9]", "aac"),
    (rb"0&\xb2u\x8ef\xcf\x11", "asf"),
)
# Files of other types may decompress, or count from the end only
SEEKABLE_FILES = (io.BytesIO, io.FileIO, io.BufferedReader, io.BufferedRandom)
PREMATURE_END = re.compile(r"partial file|ended prematurely")


@contextlib.contextmanager
def readable_source(
    source: Source, max_seconds: float = math.inf
) -> Iterator[BinaryIO]:
    """Opens a source of audio, decoded by ffmpeg if libsndfile cannot read it.

    The source is a path, content, or a binary file object, which is read from
    its start, or from its current position if it cannot be rewound. At most
    ``max_seconds`` are decoded; audio that is not decoded is not limited.

    Yields a seekable binary file with the ``name`` of the source, which serves
    to read the source more than once. Of a decoded one, ``truncated`` says
    whether ffmpeg found the end missing.

    Raises
    ------
    ValueError
        If the source is empty, is no regular file, or cannot be decoded within
        the limits of time and size.
    """
    with contextlib.ExitStack() as stack:
        file = _open_binary(source, stack)
        demuxer = _find_demuxer(file)
        if demuxer is None:
            yield file
            return
        folder = stack.enter_context(TemporaryDirectory())
        path = source
        if not isinstance(source, (str, os.PathLike)):
            path = os.path.join(folder, "input")
            with open(path, "wb") as copy:
                shutil.copyfileobj(file, copy)
        output, truncated = _decode(path, demuxer, folder, max_seconds)
        decoded = stack.enter_context(open(output, "rb", buffering=0))
        decoded.name = getattr(file, "name", None)
        decoded.truncated = truncated
        yield decoded


def _find_demuxer(file):
    """The demuxer of a known container at the start of a file, or None.

    An ID3 tag is skipped. The file is at its start afterwards.
    """
    head = file.read(12)
    if head[:3] == b"ID3":
        # The size of the tag has 7 bits in each of 4 bytes
        sizes = zip(head[6:10], (21, 14, 7, 0))
        file.seek(10 + sum(n << shift for n, shift in sizes))
        head = file.read(12)
    file.seek(0)
    for pattern, demuxer in CONTAINERS:
        if re.match(pattern, head, re.DOTALL):
            return demuxer
    return None


def _open_binary(source, stack):
    """Opens a path, content or file object as a seekable file, at its start."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        file = io.BytesIO(source)
    elif not hasattr(source, "read"):
        if not os.path.isfile(source):
            raise ValueError("not a regular file")
        file = stack.enter_context(open(source, "rb", buffering=0))
    elif isinstance(source, SEEKABLE_FILES) and source.seekable():
        file = source
    else:
        file = stack.enter_context(TemporaryFile())
        if getattr(source, "seekable", bool)():
            source.seek(0)
        shutil.copyfileobj(source, file)
    if file.seek(0, os.SEEK_END) == 0:
        raise ValueError("empty file")
    file.seek(0)
    return file


def _decode(path, demuxer, folder, max_seconds):
    """Decodes a file; returns a WAV file, and whether the end was missing."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise ValueError("needs ffmpeg: install it, or convert the file to wav")
    source = f"file:{os.path.abspath(path)}"
    output = os.path.join(folder, "out.wav")
    log = os.path.join(folder, "log")
    # One second more than is wanted shows that there is more
    seconds = min(max_seconds, MAX_SECONDS) + 1
    command = [
        *(program, "-nostdin", "-hide_banner", "-loglevel", "error"),
        *("-max_alloc", str(2**28), "-protocol_whitelist", "file"),
        *("-threads", "1", "-t", str(seconds), "-f", demuxer),
        *("-i", source, "-map", "0:a:0?", "-map_metadata", "-1"),
        # Silence where the timestamps have a gap, or start late
        *("-af", "aresample=async=1:first_pts=0"),
        *("-c:a", "pcm_s16le", "-fs", str(MAX_BYTES), "-f", "wav", output),
    ]
    try:
        with open(log, "wb") as file:
            run = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=file,
                timeout=TIMEOUT,
            )
    except subprocess.TimeoutExpired:
        raise ValueError(f"ffmpeg took longer than {TIMEOUT} s")
    except OSError as error:
        raise ValueError(f"ffmpeg cannot be run: {error.strerror}")
    with open(log, "rb") as file:
        file.seek(max(os.path.getsize(log) - 4096, 0))
        messages = file.read().decode("utf-8", "replace").replace(source, "")
    if run.returncode or not os.path.exists(output):
        reasons = [f"exit status {run.returncode}", *messages.splitlines()]
        reason = list(filter(None, reasons))[-1][:200]
        reason = re.sub(r"^(\[.*?\]|:) ", "", reason)
        raise ValueError(f"ffmpeg cannot read it: {reason}")
    is_large = os.path.getsize(output) >= MAX_BYTES
    if is_large or sf.info(output).duration > MAX_SECONDS:
        raise ValueError("too long to be decoded at once: cut it into parts")
    return output, bool(PREMATURE_END.search(messages))
