"""Scores of sound events: F1, errors of onsets, and PSDS.

By mir_eval (a bipartite matching of events) and psds_eval, which need the extra
``events``.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import warnings
from typing import List, NamedTuple, Union

import numpy as np

Threshold = Union[float, np.ndarray]

COLLAR = 0.2  # seconds that an onset may be off; an offset, or 20 % if longer
SEGMENT = 1.0  # seconds
THRESHOLDS = np.linspace(0.02, 0.98, 49)  # operating points of PSDS
COLUMNS = ("filename", "onset", "offset", "event_label")


class EventCounts(NamedTuple):
    """What ``event_counts`` returns.

    Events, and segments of 1 s, that are found where they are, that are true,
    and that are found: ``[3, clips, classes]``. Then the errors of onsets, in
    seconds, up to 1 s.
    """

    events: np.ndarray
    segments: np.ndarray
    onset_errors: list


def event_metrics(
    timelines: dict, truth: dict, threshold: Threshold = 0.5
) -> dict:
    """Scores the events of clips.

    ``timelines`` maps ids to the ``Timeline`` of a clip, ``truth`` to start,
    end and label of its events, if any; for ``threshold``, see
    ``Timeline.events``. A ValueError says that there are no events to find, or
    which package is missing.

    The scores are ``event_F1``, whose events begin and end within 200 ms (the
    end within 20 % of a long one), and ``segment_F1``, of segments of 1 s, both
    means over classes that occur; ``onset_error``, the median in seconds over
    onsets within 1 s of a true one, NaN without any; ``PSDS1``, ``PSDS2``
    (https://arxiv.org/abs/1910.08440), in DCASE's scenarios, NaN for a single
    class.
    """
    classes = sorted({x for clip in timelines for *_, x in truth.get(clip, ())})
    if not classes:
        raise ValueError("No clip that is scored has an event.")
    counts = event_counts(timelines, truth, classes, threshold)
    errors = counts.onset_errors
    scores = {
        "event_F1": float(mean_f1(counts.events.sum(1))),
        "segment_F1": float(mean_f1(counts.segments.sum(1))),
        "onset_error": float(np.median(errors)) if errors else float("nan"),
        "PSDS1": float("nan"),
        "PSDS2": float("nan"),
    }
    if len(classes) > 1:  # psds_eval would return 0
        scores.update(psds(timelines, truth, classes))
    return scores


def psds(timelines: dict, truth: dict, classes: List[str]) -> dict:
    """PSDS in DCASE's scenarios: exact times, and no confusion of classes."""
    try:
        import pandas
        from psds_eval import PSDSEval
    except ImportError as error:
        raise missing(error) from error
    rows = [(k, *x) for k in timelines for x in truth.get(k, ())]
    truth_table = pandas.DataFrame(rows, columns=COLUMNS)
    lengths = [(clip, found.duration) for clip, found in timelines.items()]
    lengths = pandas.DataFrame(lengths, columns=["filename", "duration"])
    scenarios = {
        "PSDS1": PSDSEval(0.7, 0.7, 0.3),
        "PSDS2": PSDSEval(0.1, 0.1, 0.3),
    }
    costs_of_confusion = {"PSDS1": 0.0, "PSDS2": 0.5}
    points = operating_points(timelines, classes)
    scores = {}
    with warnings.catch_warnings():  # of psds_eval and what it calls
        warnings.simplefilter("ignore")
        for name, scenario in scenarios.items():
            scenario.set_ground_truth(truth_table, lengths)
            for rows in points:
                table = pandas.DataFrame(rows, columns=COLUMNS)
                scenario.add_operating_point(table)
            result = scenario.psds(
                max_efpr=100, alpha_ct=costs_of_confusion[name], alpha_st=1.0
            )
            scores[name] = float(result.value)
    return scores


def missing(error: ImportError) -> ValueError:
    """The error that names a package and says how to install it."""
    return ValueError(
        f"Scores of events need {error.name}: "
        'pip install "speechbrain_fftp[events]"'
    )


def operating_points(timelines: dict, classes: List[str]) -> list:
    """Rows of clip, start, end and label of the events at each threshold."""
    points = [[] for _ in THRESHOLDS]
    for clip, found in timelines.items():
        columns = [found.labels.index(label) for label in classes]
        # All thresholds at once: as if each made classes of its own
        several = dataclasses.replace(
            found,
            probs=np.tile(found.probs[:, columns], len(THRESHOLDS)),
            labels=[(x, n) for n in range(len(THRESHOLDS)) for x in classes],
        )
        limits = np.repeat(THRESHOLDS, len(classes))
        for event in several.events(limits):
            label, number = event.label
            if event.start < event.end:
                points[number].append((clip, event.start, event.end, label))
    return points


def event_counts(
    timelines: dict,
    truth: dict,
    classes: List[str],
    threshold: Threshold = 0.5,
) -> EventCounts:
    """Counts the events of clips; for arguments, see ``event_metrics``."""
    try:
        from mir_eval.transcription import match_notes
    except ImportError as error:
        raise missing(error) from error
    shape = (3, len(timelines), len(classes))
    counts = EventCounts(np.zeros(shape, int), np.zeros(shape, int), [])
    for row, (clip, timeline) in enumerate(timelines.items()):
        events = timeline.events(threshold)
        for column, label in enumerate(classes):
            true = [(a, b) for a, b, x in truth.get(clip, ()) if x == label]
            found = [(x.start, x.end) for x in events if x.label == label]
            is_true = segments(true, timeline.duration)
            is_found = segments(found, timeline.duration)
            counts.segments[:, row, column] = (
                (is_true & is_found).sum(),
                is_true.sum(),
                is_found.sum(),
            )
            counts.events[1:, row, column] = len(true), len(found)
            if not true or not found:
                continue
            true, found = np.array(true), np.array(found)
            notes = {  # all of the same pitch
                "ref_intervals": true,
                "ref_pitches": np.full(len(true), 440.0),
                "est_intervals": found,
                "est_pitches": np.full(len(found), 440.0),
            }
            right = match_notes(
                **notes,
                onset_tolerance=COLLAR,
                offset_ratio=0.2,
                offset_min_tolerance=COLLAR,
            )
            counts.events[0, row, column] = len(right)
            near = match_notes(**notes, onset_tolerance=1.0, offset_ratio=None)
            for i, j in near:
                counts.onset_errors.append(abs(true[i, 0] - found[j, 0]))
    return counts


def mean_f1(counts: np.ndarray) -> np.ndarray:
    """Averages F1 over classes, the last axis of the counts."""
    hits, true, found = counts
    return (2 * hits / np.maximum(true + found, 1)).mean(-1)


def segments(spans: list, duration: float) -> np.ndarray:
    """Whether each segment of a clip overlaps one of some spans."""
    starts = np.arange(0.0, duration, SEGMENT)
    inside = np.zeros(len(starts), bool)
    for start, end in spans:
        inside |= (starts < end) & (start < starts + SEGMENT)
    return inside
