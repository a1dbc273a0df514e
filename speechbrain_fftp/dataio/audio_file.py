"""Audio files that are read from start to end and know whether they are whole.

Authors
 * The speechbrain_fftp authors 2026
"""

import io
import math
import os
import re

import soundfile as sf

# What libsndfile logs about sizes that exceed the file
CUT_SIZE = re.compile(
    r"^ *(?:data|Data Size|SSND|riff|Riff size) *: (\d+) \(should be (\d+)\)",
    re.MULTILINE,
)
STREAMED_SIZE = 0x7FFF0000  # headers of files written to a pipe claim more
# The header of an MP3 file, and a flag that it has the number of frames
XING = re.compile(rb"(?:Xing|Info)\0\0\0[\1\3\5\7\x09\x0b\x0d\x0f]")


class AudioFile(sf.SoundFile):
    """An audio file that is read without a seek after each block.

    At such a seek, decoders of streamed or damaged FLAC files fail.

    Arguments
    ---------
    source : file
        A seekable binary file, at its start.

    Example
    -------
    >>> file = io.BytesIO()
    >>> sf.write(file, [0.0] * 8000, 8000, format="WAV")
    >>> file = AudioFile(io.BytesIO(file.getvalue()[:-8000]))
    >>> file.found = len(file.read(8000))
    >>> file.missing_part()
    '0.5 of 1 s'
    """

    found = 0  # samples per channel that were read so far

    def __init__(self, source):
        self.source = source
        self.decoded = hasattr(source, "truncated")  # by ffmpeg
        # By descriptor, or soundfile would infer the format from the name
        by_descriptor = isinstance(source, io.FileIO)
        opened = source.fileno() if by_descriptor else source
        super().__init__(opened, closefd=False)

    def seekable(self):
        """Always false: soundfile then reads without seeking."""
        return False

    def missing_part(self):
        """Says how much is missing, once the file was read to its end.

        Known from the sizes in headers (WAV, AIFF, AU, W64, RF64, FLAC), the
        last page (Ogg), the number of frames (MP3 with a Xing header) or from
        ffmpeg. Headers of files written to a pipe have no sizes. libsndfile
        estimates the length of an MP3 file without a Xing header, and reads no
        further.

        Returns
        -------
        str
            What was found and what is expected, in seconds; empty if all
            is there, as far as is known.
        """
        whole, slack = self.found, 0
        cut = CUT_SIZE.search(self.extra_info)
        if cut and int(cut[1]) < STREAMED_SIZE:
            whole = -(-self.found * int(cut[1]) // int(cut[2]))
        elif self.format == "FLAC" and self.frames < 2**60:
            whole = self.frames
        elif self.format == "OGG" and not self._has_last_page():
            whole = math.inf
        elif self.format == "MP3":
            place, size = self.source.tell(), self.source.seek(0, os.SEEK_END)
            self.source.seek(0)
            if XING.search(self.source.read(2**20)):
                whole, slack = self.frames, 0.1 * self.samplerate  # padding
            elif place < 0.9 * size:  # libsndfile's estimate was too low
                whole = math.inf
        elif self.decoded and self.source.truncated:
            whole = math.inf
        if whole - slack <= self.found:
            return ""
        rate = self.samplerate
        whole = "?" if whole == math.inf else f"{whole / rate:.6g}"
        return f"{self.found / rate:.6g} of {whole} s"

    def _has_last_page(self):
        """Whether an Ogg file ends with a whole page that is marked as last."""
        size = self.source.seek(0, os.SEEK_END)
        self.source.seek(max(size - 2**17, 0))
        tail = self.source.read(2**17)
        page = tail[max(tail.rfind(b"OggS"), 0) :]
        lengths = page[27 : 27 + page[26]] if len(page) > 26 else b""
        is_whole = len(page) >= 27 + len(lengths) + sum(lengths)
        return is_whole and bool(page[5] & 4)
