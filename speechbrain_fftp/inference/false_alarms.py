"""False alarms: events in recordings without any of the sounds.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import os
from collections import Counter

import numpy as np

from speechbrain_fftp.dataio.audio import AUDIO_EXTENSIONS
from speechbrain_fftp.datasets.names import files_below


def list_recordings(source):
    """The audio files in a folder, sorted, or the one file that it is.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    if os.path.isfile(source):
        return [os.fspath(source)]
    found = [
        os.path.normpath(os.path.join(source, path))
        for path in files_below(source, source)
        if path.lower().endswith(AUDIO_EXTENSIONS)
    ]
    if not found:
        raise FileNotFoundError(f"{source} holds no audio files.")
    return sorted(found)


def false_alarms_per_hour(timelines, thresholds):
    """Events of each class in an hour of background.

    Arguments
    ---------
    timelines : list of Timeline
        Of recordings without any of the sounds.
    thresholds : numpy.ndarray
        Of the classes, ``[C]``.

    Returns
    -------
    dict
        From each label to a number.
    """
    hours = sum(timeline.duration for timeline in timelines) / 3600
    counts = Counter(
        event.label
        for timeline in timelines
        for event in timeline.events(thresholds)
    )
    return {label: counts[label] / hours for label in timelines[0].labels}


def limit_false_alarms(timelines, rows, labels, per_hour):
    """Counts the false alarms of some classes, and raises their thresholds.

    Arguments
    ---------
    timelines : list of Timeline
        Of recordings without any of the sounds.
    rows : list of tuple
        Those of thresholds.csv.
    labels : list of str
        The classes whose thresholds may be raised.
    per_hour : float, optional
        False alarms of a class that are allowed in an hour; None for any.

    Returns
    -------
    rows : list of tuple
        With the new thresholds.
    alarms : dict
        From each of the ``labels`` to its false alarms in an hour.
    """
    thresholds = np.array([limit for _, limit, *_ in rows], np.float32)
    if per_hour is not None:
        may_rise = np.isin([label for label, *_ in rows], labels)
        raised = raise_thresholds(timelines, thresholds, per_hour)
        thresholds = np.where(may_rise, raised, thresholds)
    alarms = false_alarms_per_hour(timelines, thresholds)
    rows = [
        (label, float(limit), *rest)
        for (label, _, *rest), limit in zip(rows, thresholds)
    ]
    return rows, {label: alarms[label] for label in labels}


def raise_thresholds(timelines, thresholds, per_hour):
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
    hours = sum(timeline.duration for timeline in timelines) / 3600
    allowed = int(per_hour * hours)
    raised = np.array(thresholds, np.float32)
    for c, label in enumerate(timelines[0].labels):
        of_class = [
            dataclasses.replace(
                timeline, probs=timeline.probs[:, c : c + 1], labels=[label]
            )
            for timeline in timelines
        ]
        # Each round drops the weakest events; others may then be split in two
        while raised[c] < 1:
            peaks = sorted(
                event.probability
                for timeline in of_class
                for event in timeline.events(raised[c])
            )
            if len(peaks) <= allowed:
                break
            highest = np.float32(peaks[-1 - allowed])
            raised[c] = min(np.nextafter(highest, np.float32(2)), 1)
    return raised
