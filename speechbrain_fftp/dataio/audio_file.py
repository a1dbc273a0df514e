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
CHUNKS = "data|Data Size|SSND|riff|Riff size"
CUT_SIZE = rf"(?m)^ *(?:{CHUNKS}) *: (\d+) \(should be (\d+)"
STREAMED_SIZE = 0x7FFF0000  # headers of files written to a pipe claim more
# The header of an MP3 file, and a flag that it has the number of frames
XING = rb"(?:Xing|Info)\0\0\0[\1\3\5\7\x09\x0b\x0d\x0f]"


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
        if isinstance(source, io.FileIO):
            source = source.fileno()
        super().__init__(source, closefd=False)
        self.seekable = lambda: False  # or soundfile would seek

    def missing_part(self):
        """Says how much is missing, once the file was read to its end.

        Known from sizes in headers (WAV, AIFF, AU, W64, RF64, FLAC), the last
        page (Ogg), the number of frames (MP3 with a Xing header) or ffmpeg.

        Returns
        -------
        str
            Such as "0.5 of 1 s"; empty if the file is whole as far as is known.
        """
        whole, slack, rate = self.found, 0, self.samplerate
        cut = re.search(CUT_SIZE, self.extra_info)
        if cut and int(cut[1]) < STREAMED_SIZE:
            whole = -(-self.found * int(cut[1]) // int(cut[2]))
        elif self.format == "FLAC" and self.frames < 2**60:
            whole = self.frames
        elif self.format == "OGG" and not self._has_last_page():
            whole = math.inf
        elif self.format == "MP3":
            place, size = self.source.tell(), self.source.seek(0, os.SEEK_END)
            self.source.seek(0)
            if re.search(XING, self.source.read(2**20)):
                whole, slack = self.frames, 0.1 * rate  # padding
            elif place < 0.9 * size:  # libsndfile's estimate was too low
                whole = math.inf
        elif self.decoded and self.source.truncated:
            whole = math.inf
        if whole - slack <= self.found:
            return ""
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
