"""Decides where a clip starts in its file: a clip, or a whole recording.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import statistics

from speechbrain_fftp.dataio.audio import open_audio
from speechbrain_fftp.datasets.audioset.lists import CLIP_SECONDS

LONG = 1.5  # times its segment: the length of a file that is no clip
TOLERANCE = 0.5  # seconds that the end of a recording may lack
SAMPLE_SIZE = 20


def count_recordings(chosen, audio, all_are=False):
    """Says how many files are whole recordings: all, or most or few by a sample.

    Clips that start at 0 are left out, as they begin with their file in any
    case. ``chosen`` maps splits to Segments; for ``audio`` see ``Data``.
    """
    if all_are:
        return "all"
    files = [
        (audio[split][clip.id], clip)
        for split, clips in chosen.items()
        for clip in clips
        if clip.start and isinstance(audio[split], dict)
        if clip.id in audio[split]
    ]
    ratios, step = [], max(len(files) // SAMPLE_SIZE, 1)
    for path, clip in files[::step][:SAMPLE_SIZE]:
        try:
            with open_audio(path) as file:
                seconds = file.frames / file.samplerate
        except ValueError:  # it will be skipped
            continue
        ratios.append(seconds / _clip_length(clip))
    return "most" if ratios and statistics.median(ratios) > LONG else "few"


def find_starts(clips, recordings):
    """Maps ids of clips that need not start with their file to ``find_start``."""
    return {
        clip.id: functools.partial(find_start, clip, recordings)
        for clip in clips
        if clip.start
    }


def find_start(clip, recordings, seconds):
    """Where a clip starts in a file of some duration, in seconds.

    ``recordings`` says how many files are whole recordings: all, most or few.
    Then a file much longer than its segment is one. A shorter file that ends
    before its segment does is a clip; one that could be both is what most are.
    A ValueError if the segment is not in the file.
    """
    has_segment = seconds > clip.end - TOLERANCE
    is_long = recordings == "all" or seconds > LONG * _clip_length(clip)
    if is_long and not has_segment:
        raise ValueError(
            f"ends before its segment: {seconds:.1f} of {clip.end:.1f} s"
        )
    return (
        clip.start if is_long or has_segment and recordings == "most" else 0.0
    )


def _clip_length(clip):
    """Length of a clip's segment; download tools may take 10 s of any."""
    return max(clip.end - clip.start, CLIP_SECONDS)
