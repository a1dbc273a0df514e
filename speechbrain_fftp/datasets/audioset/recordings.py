"""Decides where a clip starts in its file: a clip, or a whole recording.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools

from speechbrain_fftp.datasets.audioset.lists import CLIP_SECONDS

LONG = 1.5  # times its segment: the length of a file that is no clip
TOLERANCE = 0.5  # seconds that the end of a recording may lack


def find_starts(clips, cut_segments="auto"):
    """Maps ids of clips that need not start with their file to ``find_start``."""
    return {
        clip.id: functools.partial(find_start, clip, cut_segments == "yes")
        for clip in clips
        if clip.start
    }


def find_start(clip, always, seconds):
    """Where a clip starts in a file of some duration, in seconds.

    A file that is much longer than its segment is a whole recording, and so is
    any file if ``always``: the clip starts with its segment, or there is a
    ValueError if the file ends before that does. Other files are clips. (Tools
    may take 10 seconds of shorter segments as well.)
    """
    length = max(clip.end - clip.start, CLIP_SECONDS)
    if not always and seconds <= LONG * length:
        return 0.0
    if seconds < clip.end - TOLERANCE:
        raise ValueError(
            f"ends before its segment: {seconds:.1f} of {clip.end:.1f} s"
        )
    return clip.start
