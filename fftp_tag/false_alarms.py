"""False alarms: events in recordings without any of the sounds.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import logging
import os
from collections import defaultdict
from typing import Dict, List, Optional, Union

import numpy as np

from fftp_tag.events import Timeline
from speechbrain_fftp.dataio.audio import find_audio_files

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class FalseAlarms:
    """False alarms of a class.

    Arguments
    ---------
    count : int
        Those that were heard.
    per_hour : float
    at_most : float
        So many an hour, with a confidence of 95 %.
    """

    count: int
    per_hour: float
    at_most: float


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


def count_false_alarms(
    timelines: List[Timeline], thresholds: Optional[np.ndarray] = None
) -> Dict[str, FalseAlarms]:
    """The events of each class in background, by label.

    Arguments
    ---------
    timelines : list of Timeline
        Of recordings without any of the sounds.
    thresholds : numpy.ndarray, optional
        Of the classes ``[C]``; by default those of the timelines.
    """
    peaks = find_peaks(timelines, thresholds)
    hours = count_hours(timelines)
    return {
        label: FalseAlarms(
            count=len(peaks[label]),
            per_hour=len(peaks[label]) / hours,
            at_most=upper_bound(len(peaks[label])) / hours,
        )
        for label in timelines[0].labels
    }


def upper_bound(count: int) -> float:
    """The highest mean of a Poisson distribution that fits a count (95 %)."""
    from scipy.stats import chi2

    return float(chi2.ppf(0.95, 2 * (count + 1)) / 2)


def raise_thresholds(
    timelines: List[Timeline], thresholds: np.ndarray, per_hour: float
) -> Optional[np.ndarray]:
    """Raises thresholds until each class surely has few false alarms.

    Arguments
    ---------
    timelines : list of Timeline
        Of recordings without any of the sounds.
    thresholds : numpy.ndarray
        Of the classes, ``[C]``.
    per_hour : float
        False alarms of a class that are allowed in an hour. The background
        tells no more than an upper bound: it must not be higher.

    Returns
    -------
    numpy.ndarray, optional
        Thresholds ``[C]``, none of them lower; 1.0 where no other will do. None,
        with a warning, if the background is too short to tell.
    """
    hours = count_hours(timelines)
    if upper_bound(0) > per_hour * hours:
        needed = "no length"
        if per_hour > 0:
            needed = f"{upper_bound(0) / per_hour:.1f} hours"
        logger.warning(
            "Thresholds are not raised: even no false alarm in the %.0f minutes "
            "of background that were listened to would only say that there are "
            "at most %.3g an hour. %s would say %g: record twice as much, since "
            "half is learnt from",
            60 * hours,
            upper_bound(0) / hours,
            needed,
            per_hour,
        )
        return None
    allowed = 0
    while upper_bound(allowed + 1) <= per_hour * hours:
        allowed += 1
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
