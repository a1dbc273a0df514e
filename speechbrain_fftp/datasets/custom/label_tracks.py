"""Label tracks of Audacity: texts beside recordings that say what is when.

Authors
 * The speechbrain_fftp authors 2026
"""

import os

from speechbrain_fftp.dataio.audio import AUDIO_EXTENSIONS
from speechbrain_fftp.datasets.custom.splits import CustomClip
from speechbrain_fftp.datasets.names import files_below


def list_label_tracks(data_folder, background):
    """Lists the labelled parts of recordings, and the tracks.

    A track is ``rec.txt`` beside ``rec.wav``, with lines of start and end in
    seconds and a label, separated by tabs. ``background`` are labels of parts
    of no class. Recordings without a track are left out.

    Raises
    ------
    ValueError
        If a line is none of a track.
    """
    clips, tracks = [], []
    for path in sorted(files_below(data_folder, data_folder)):
        path = os.path.normpath(path)
        track = os.path.join(data_folder, os.path.splitext(path)[0] + ".txt")
        is_audio = path.lower().endswith(AUDIO_EXTENSIONS)
        if not is_audio or not os.path.isfile(track):
            continue
        tracks.append(track)
        for label, start, end in read_label_track(track):
            labels = () if label.casefold() in background else (label,)
            clips.append(CustomClip(path, labels, start=start, end=end))
    return clips, tracks


def read_label_track(path):
    """Yields label, start and end of each line.

    Lines that begin with a backslash are Audacity's ranges of frequencies.
    """
    with open(path, encoding="utf-8-sig") as file:
        lines = file.read().splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("\\"):
            continue
        try:
            start, end, label = line.split("\t")
            start, end = float(start), float(end)
        except ValueError:
            start = end = 0.0
            label = ""
        if not 0 <= start < end or not label.strip():
            raise ValueError(
                f"{path}, line {number}: expected start, end and label, "
                f"separated by tabs, as Audacity exports them, not {line!r}"
            )
        yield label.strip(), start, end
