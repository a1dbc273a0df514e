"""Counts false alarms: events in recordings without any of the sounds.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import logging
import os
from collections import defaultdict
from typing import Dict, List, Optional, Union

import numpy as np

from fftp_tag.events import Rules, Timeline
from speechbrain_fftp.dataio.audio import find_audio_files

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class FalseAlarms:
    """False alarms of a class.

    Arguments
    ---------
    count : int
    per_hour : float
    at_most : float
        Upper bound per hour, with a confidence of 95 %.
    """

    count: int
    per_hour: float
    at_most: float


def list_recordings(source: Union[str, os.PathLike]) -> List[str]:
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
    if not files:
        raise FileNotFoundError(f"{source} holds no audio files.")
    return files


def count_hours(timelines: List[Timeline]) -> float:
    """The total duration of recordings in hours."""
    return sum(timeline.duration for timeline in timelines) / 3600


def find_peaks(timelines: List[Timeline]) -> Dict[str, List[float]]:
    """The probability of each event, by label."""
    peaks: Dict[str, List[float]] = defaultdict(list)
    for timeline in timelines:
        for event in timeline.events():
            peaks[event.label].append(event.probability)
    return peaks


def count_false_alarms(timelines: List[Timeline]) -> Dict[str, FalseAlarms]:
    """Counts the events of each class in background, by label.

    Arguments
    ---------
    timelines : list of Timeline
        Timelines of recordings without any of the sounds.
    """
    peaks = find_peaks(timelines)
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
    """The upper bound (95 %) of a Poisson distribution's mean from a count."""
    from scipy.stats import chi2

    return float(chi2.ppf(0.95, 2 * (count + 1)) / 2)


def raise_thresholds(
    timelines: List[Timeline], per_hour: float
) -> Optional[Rules]:
    """Raises thresholds until each class has few false alarms.

    Arguments
    ---------
    timelines : list of Timeline
        Timelines of recordings without any of the sounds.
    per_hour : float
        Maximum number of false alarms of a class in an hour. It is compared
        with the upper bound, ``FalseAlarms.at_most``.

    Returns
    -------
    Rules, optional
        The rules of the timelines, with thresholds raised to at most 1.0. None,
        with a warning, if the background is too short.
    """
    hours = count_hours(timelines)
    if upper_bound(0) > per_hour * hours:
        needed = "No length"
        if per_hour > 0:
            needed = f"{upper_bound(0) / per_hour:.1f} hours"
        logger.warning(
            "Thresholds are not raised: %.0f minutes of background are too "
            "short. Even without a false alarm, they show only that there are "
            "at most %.3g an hour. %s would show %g: record twice as much for "
            "fftp-tag learn, which learns from one half",
            60 * hours,
            upper_bound(0) / hours,
            needed,
            per_hour,
        )
        return None
    allowed = 0
    while upper_bound(allowed + 1) <= per_hour * hours:
        allowed += 1
    rules = timelines[0].rules
    high = rules.high.copy()
    peaks = find_peaks(timelines)
    certain = []
    for c, label in enumerate(timelines[0].labels):
        if len(peaks[label]) > allowed:
            highest = np.float32(sorted(peaks[label])[-1 - allowed])
            high[c] = min(np.nextafter(highest, np.float32(2)), 1)
            if highest == 1:
                certain.append(label)
    if certain:
        logger.warning(
            "False alarms of %s stay, since they have a probability of 1: "
            "learn again with them as background",
            ", ".join(certain),
        )
    raised = np.maximum(rules.threshold, high)
    return dataclasses.replace(
        rules,
        threshold=np.where(high > rules.high, raised, rules.threshold),
        high=high,
        is_learnt=True,
    )
