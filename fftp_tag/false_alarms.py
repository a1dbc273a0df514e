"""False alarms: events in recordings without any of the sounds.

Authors
 * The speechbrain_fftp authors 2026
"""

import logging
import os
from collections import defaultdict
from typing import Dict, List, Optional, Union

import numpy as np

from fftp_tag.events import Timeline
from speechbrain_fftp.dataio.audio import find_audio_files

logger = logging.getLogger(__name__)


def list_recordings(source: Union[str, os.PathLike]) -> List[str]:
    """The audio files in a folder, sorted, or the one file that it is.

    Raises
    ------
    OSError
        If there is none, or a folder cannot be read.
    """
    if os.path.isfile(source):
        return [os.fspath(source)]
    files, errors = find_audio_files(os.fspath(source))
    if errors:
        raise errors[0]
    if not files:
        raise FileNotFoundError(f"{source} holds no audio files.")
    return files


def count_hours(timelines: List[Timeline]) -> float:
    """The length of recordings."""
    return sum(timeline.duration for timeline in timelines) / 3600


def find_peaks(
    timelines: List[Timeline], thresholds: Optional[np.ndarray]
) -> Dict[str, List[float]]:
    """The probabilities of all events, by label."""
    peaks: Dict[str, List[float]] = defaultdict(list)
    for timeline in timelines:
        for event in timeline.events(thresholds):
            peaks[event.label].append(event.probability)
    return peaks


def false_alarms_per_hour(
    timelines: List[Timeline], thresholds: Optional[np.ndarray] = None
) -> Dict[str, float]:
    """Events of each class in an hour of background, by label.

    Arguments
    ---------
    timelines : list of Timeline
        Of recordings without any of the sounds.
    thresholds : numpy.ndarray, optional
        Of the classes ``[C]``; by default those of the timelines.
    """
    peaks = find_peaks(timelines, thresholds)
    hours = count_hours(timelines)
    return {label: len(peaks[label]) / hours for label in timelines[0].labels}


def raise_thresholds(
    timelines: List[Timeline], thresholds: np.ndarray, per_hour: float
) -> np.ndarray:
    """Raises thresholds until each class has few false alarms.

    Arguments
    ---------
    timelines : list of Timeline
        Of recordings without any of the sounds.
    thresholds : numpy.ndarray
        Of the classes, ``[C]``.
    per_hour : float
        False alarms of a class that are allowed in an hour.

    Returns
    -------
    numpy.ndarray
        Thresholds ``[C]``, none of them lower; 1.0 where no other will do.
    """
    hours = count_hours(timelines)
    allowed = int(per_hour * hours)
    if per_hour * hours < 1:
        logger.warning(
            "%.0f minutes of background are too few to find %g false alarms an "
            "hour: thresholds are raised until there is none in them",
            60 * hours,
            per_hour,
        )
    raised = np.array(thresholds, np.float32)
    # Each round drops the weakest events; others may then be split in two
    while True:
        peaks = find_peaks(timelines, raised)
        too_many = [
            c
            for c, label in enumerate(timelines[0].labels)
            if len(peaks[label]) > allowed and raised[c] < 1
        ]
        if not too_many:
            return raised
        for c in too_many:
            label = timelines[0].labels[c]
            highest = np.float32(sorted(peaks[label])[-1 - allowed])
            raised[c] = min(np.nextafter(highest, np.float32(2)), 1)
