"""Metrics of sound event detection.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import importlib
import warnings
from types import ModuleType
from typing import List, Tuple, Union

import numpy as np

Threshold = Union[float, np.ndarray]

COLLAR = 0.2  # seconds that an onset may be off; an offset, or 20 % if longer
SEGMENT = 1.0  # seconds
THRESHOLDS = np.linspace(0.02, 0.98, 49)  # operating points of PSDS
# DCASE's two scenarios: exact times, and no confusion of classes
PSDS = {
    "PSDS1": ((0.7, 0.7, 0.3), {"alpha_ct": 0.0, "alpha_st": 1.0}),
    "PSDS2": ((0.1, 0.1, 0.3), {"alpha_ct": 0.5, "alpha_st": 1.0}),
}
HELP = 'pip install "speechbrain_fftp[events]"'
COLUMNS = ("filename", "onset", "offset", "event_label")


def event_metrics(
    timelines: dict, truth: dict, threshold: Threshold = 0.5
) -> dict:
    """Scores the events of clips, with mir_eval and psds_eval.

    ``timelines`` maps ids to the ``Timeline`` of a clip, ``truth`` to start,
    end and label of its events, if any; for ``threshold``, see
    ``Timeline.events``. Without events to find or these packages, there is a
    ValueError.

    The scores are ``event_F1``, whose events begin and end within 200 ms (the
    end within 20 % of a long one), and ``segment_F1``, of segments of 1 s, both
    means over classes that occur; ``onset_error``, the median in seconds over
    onsets within 1 s of a true one, NaN without any; ``PSDS1``, ``PSDS2``
    (https://arxiv.org/abs/1910.08440), in DCASE's scenarios, NaN for a single
    class.
    """
    _, psds_eval, pandas = event_packages()
    classes = sorted({x for clip in timelines for *_, x in truth.get(clip, ())})
    if not classes:
        raise ValueError("No clip that is scored has an event.")
    rows = [(k, *x) for k in timelines for x in truth.get(k, ())]
    truth_table = pandas.DataFrame(rows, columns=COLUMNS)
    lengths = [(clip, found.duration) for clip, found in timelines.items()]
    lengths = pandas.DataFrame(lengths, columns=["filename", "duration"])
    points = _operating_points(timelines, classes)
    scores = {}
    with warnings.catch_warnings():  # of psds_eval and what it calls
        warnings.simplefilter("ignore")
        for name, (limits, options) in PSDS.items():
            psds = psds_eval.PSDSEval(*limits)
            psds.set_ground_truth(truth_table, lengths)
            for rows in points:
                table = pandas.DataFrame(rows, columns=COLUMNS)
                psds.add_operating_point(table)
            scores[name] = float(psds.psds(max_efpr=100, **options).value)
    if len(classes) == 1:  # psds_eval would return 0
        scores = dict.fromkeys(PSDS, float("nan"))
    *counts, errors = event_counts(timelines, truth, classes, threshold)
    event_f1, segment_f1 = (float(mean_f1(c.sum(1))) for c in counts)
    return {
        "event_F1": event_f1,
        "segment_F1": segment_f1,
        "onset_error": float(np.median(errors)) if errors else float("nan"),
        **scores,
    }


def event_packages() -> List[ModuleType]:
    """Imports what scores events; a package that is missing is a ValueError."""
    names = "mir_eval.transcription", "psds_eval", "pandas"
    try:
        return [importlib.import_module(name) for name in names]
    except ImportError as error:
        raise ValueError(
            f"Scores of events need {error.name}: {HELP}"
        ) from error


def _operating_points(timelines, classes):
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
) -> Tuple[np.ndarray, np.ndarray, list]:
    """Counts the events of clips; for arguments, see ``event_metrics``.

    Returns the events found where they are, true ones, and found ones, ``[3,
    clips, classes]``; the same of segments of 1 s; and the errors of onsets, in
    seconds, up to 1 s.
    """
    match_notes = event_packages()[0].match_notes
    counts = np.zeros((2, 3, len(timelines), len(classes)), int)
    events = {k: found.events(threshold) for k, found in timelines.items()}
    near = {"offset_ratio": 0.2, "offset_min_tolerance": COLLAR}
    errors, pitch = [], 440.0
    for number, (clip, found) in enumerate(timelines.items()):
        for column, label in enumerate(classes):
            true = [(a, b) for a, b, x in truth.get(clip, ()) if x == label]
            own = [(x.start, x.end) for x in events[clip] if x.label == label]
            here = counts[:, :, number, column]
            masks = [_segments(x, found.duration) for x in (true, own)]
            here[1] = (masks[0] & masks[1]).sum(), *(x.sum() for x in masks)
            here[0, 1:] = len(true), len(own)
            if not true or not own:
                continue
            true, own = np.array(true), np.array(own)
            notes = [true, np.full(len(true), pitch)]
            notes += [own, np.full(len(own), pitch)]
            here[0, 0] = len(
                match_notes(*notes, onset_tolerance=COLLAR, **near)
            )
            pairs = match_notes(*notes, onset_tolerance=1.0, offset_ratio=None)
            errors += [abs(true[i, 0] - own[j, 0]) for i, j in pairs]
    return counts[0], counts[1], errors


def mean_f1(counts: np.ndarray) -> np.ndarray:
    """Averages F1 over classes, the last axis of the counts."""
    hits, true, found = counts
    return (2 * hits / np.maximum(true + found, 1)).mean(-1)


def _segments(spans, duration):
    """Whether each segment of a clip overlaps one of some spans."""
    starts = np.arange(0.0, duration, SEGMENT)
    inside = np.zeros(len(starts), bool)
    for start, end in spans:
        inside |= (starts < end) & (start < starts + SEGMENT)
    return inside
