"""Scores of events against strong labels: F1 and PSDS.

True and found events of a class in a clip are matched one to one.

Authors
 * The speechbrain_fftp authors 2026
"""

import logging
import warnings
from collections import defaultdict
from typing import Callable, Dict, Iterable, List, NamedTuple, Tuple

import numpy as np

from fftp_tag.packages import is_installed
from fftp_tag.tag.events import Timeline
from speechbrain_fftp.dataio.errors import InputError

logger = logging.getLogger(__name__)

Truth = Dict[str, List[Tuple[float, float, str]]]  # start, end, label by clip

OVERLAP = 0.5  # minimum intersection over union of events that match
COLLAR = 0.2  # maximum error of an onset in seconds
DIGITS = 4  # of seconds, against rounding errors at the collar
THRESHOLDS = np.linspace(0.02, 0.98, 49)  # operating points of PSDS
COLUMNS = ("filename", "onset", "offset", "event_label")


class ClipEvents(NamedTuple):
    """Starts and ends of the events of a class in a clip, in seconds."""

    true: np.ndarray  # [N, 2]
    found: np.ndarray  # [M, 2]


class Counts(NamedTuple):
    """Numbers of events."""

    right: int
    true: int
    found: int

    @property
    def f1(self) -> float:
        """The F1 score."""
        return 2 * self.right / max(self.true + self.found, 1)


def event_metrics(
    timelines: Dict[str, Timeline], truth: Truth, labels: List[str]
) -> Dict[str, float]:
    """Scores the events that the rules of the timelines find.

    Arguments
    ---------
    timelines : dict
        Timelines by clip id.
    truth : dict
        True events (start, end, label) by clip id.
    labels : list of str
        The classes that are scored.

    Returns
    -------
    dict of float
        ``overlap_F1``, ``overlap_precision``, ``overlap_recall``: over all
        events; they match if their intersection is half of their union or more.
        ``event_F1``: the mean over classes that occur; events match if onsets
        are within 200 ms, and offsets within 200 ms or 20 % of the true length.
        ``PSDS1``, ``PSDS2`` (https://arxiv.org/abs/1910.08440): in DCASE's
        scenarios, if psds_eval is installed and several classes occur.

    Raises
    ------
    InputError
        If there are no true events.
    """
    of_class = pair_events(timelines, truth, labels)
    occur = [
        label
        for label, clips in of_class.items()
        if any(len(clip.true) for clip in clips)
    ]
    if not occur:
        raise InputError("The scored clips have no events of these classes.")
    f1 = [count_events(of_class[label], is_on_time).f1 for label in occur]
    scores = {**overlap_scores(of_class), "event_F1": float(np.mean(f1))}
    # For a single class, psds_eval would return 0
    if len(occur) > 1 and not missing_for_psds():
        scores.update(psds(timelines, truth, occur))
    return scores


def missing_for_psds() -> List[str]:
    """Packages for PSDS that are not installed."""
    return [x for x in ("pandas", "psds_eval") if not is_installed(x)]


def warn_without_psds() -> None:
    """Warns before the work begins if PSDS cannot be computed."""
    missing = missing_for_psds()
    if missing:
        logger.warning(
            "PSDS will not be computed, since it needs %s: pip install "
            "'pandas<3' psds_eval",
            " and ".join(missing),
        )


def pair_events(
    timelines: Dict[str, Timeline], truth: Truth, labels: List[str]
) -> Dict[str, List[ClipEvents]]:
    """True and found events by label, in the clips that have any."""
    paired: Dict[str, List[ClipEvents]] = {label: [] for label in labels}
    nothing = np.zeros((0, 2))
    for clip, timeline in timelines.items():
        true = by_label(truth[clip])
        found = found_events(timeline)
        for label in paired.keys() & (true.keys() | found.keys()):
            events = true.get(label, nothing), found.get(label, nothing)
            paired[label].append(ClipEvents(*events))
    return paired


def found_events(timeline: Timeline) -> Dict[str, np.ndarray]:
    """Starts and ends ``[N, 2]`` of found events, by label."""
    events = timeline.events()
    return by_label((event.start, event.end, event.label) for event in events)


def by_label(events: Iterable[tuple]) -> Dict[str, np.ndarray]:
    """Starts and ends ``[N, 2]`` of events (start, end, label), by label."""
    found: Dict[str, list] = defaultdict(list)
    for start, end, label in events:
        found[label].append((start, end))
    return {label: np.array(times) for label, times in found.items()}


def overlap_scores(
    of_class: Dict[str, List[ClipEvents]],
) -> Dict[str, float]:
    """``overlap_F1``, ``overlap_precision`` and ``overlap_recall``."""
    total = count_events(sum(of_class.values(), []), overlap_by_half)
    return {
        "overlap_F1": total.f1,
        "overlap_precision": total.right / max(total.found, 1),
        "overlap_recall": total.right / max(total.true, 1),
    }


def count_events(
    clips: List[ClipEvents], can_match: Callable[[ClipEvents], np.ndarray]
) -> Counts:
    """Counts events and matches; ``can_match`` returns booleans ``[N, M]``."""
    return Counts(
        right=sum(
            len(match(can_match(clip)))
            for clip in clips
            if len(clip.true) and len(clip.found)
        ),
        true=sum(len(clip.true) for clip in clips),
        found=sum(len(clip.found) for clip in clips),
    )


def match(can_match: np.ndarray) -> List[Tuple[int, int]]:
    """Matches as many rows and columns of booleans as possible one to one."""
    from scipy.optimize import linear_sum_assignment

    pairs = zip(*linear_sum_assignment(can_match, maximize=True))
    return [pair for pair in pairs if can_match[pair]]


def overlap_by_half(clip: ClipEvents) -> np.ndarray:
    """Whether true and found events overlap by half, ``[N, M]``."""
    starts = np.maximum(clip.true[:, None, 0], clip.found[:, 0])
    ends = np.minimum(clip.true[:, None, 1], clip.found[:, 1])
    intersection = np.maximum(ends - starts, 0.0)
    true = clip.true[:, 1] - clip.true[:, 0]
    found = clip.found[:, 1] - clip.found[:, 0]
    union = true[:, None] + found - intersection
    return intersection >= OVERLAP * union


def is_on_time(clip: ClipEvents) -> np.ndarray:
    """Whether true and found events agree in onset and offset, ``[N, M]``."""
    errors = np.abs(clip.true[:, None] - clip.found).round(DIGITS)
    collar = np.maximum(COLLAR, 0.2 * np.diff(clip.true)).round(DIGITS)
    return (errors[:, :, 0] <= COLLAR) & (errors[:, :, 1] <= collar)


def psds(
    timelines: Dict[str, Timeline], truth: Truth, labels: List[str]
) -> Dict[str, float]:
    """PSDS in DCASE's scenarios: 1 for exact times, 2 for few confusions."""
    import pandas
    from psds_eval import PSDSEval

    rows = [
        (clip, start, end, label)
        for clip in timelines
        for label, times in by_label(truth[clip]).items()
        for start, end in join_overlapping(times)
        if label in labels
    ]
    truth_table = pandas.DataFrame(rows, columns=COLUMNS)
    lengths = [(clip, found.duration) for clip, found in timelines.items()]
    lengths = pandas.DataFrame(lengths, columns=["filename", "duration"])
    scenarios = {
        "PSDS1": PSDSEval(0.7, 0.7, 0.3),
        "PSDS2": PSDSEval(0.1, 0.1, 0.3),
    }
    costs_of_confusion = {"PSDS1": 0.0, "PSDS2": 0.5}
    points = [
        pandas.DataFrame(
            [
                (clip, event.start, event.end, event.label)
                for clip, timeline in timelines.items()
                for event in timeline.events(threshold)
                if event.label in labels
            ],
            columns=COLUMNS,
        )
        for threshold in THRESHOLDS
    ]
    scores = {}
    with warnings.catch_warnings():  # of psds_eval and its dependencies
        warnings.simplefilter("ignore")
        for name, scenario in scenarios.items():
            scenario.set_ground_truth(truth_table, lengths)
            for table in points:
                scenario.add_operating_point(table)
            result = scenario.psds(
                max_efpr=100, alpha_ct=costs_of_confusion[name], alpha_st=1.0
            )
            scores[name] = float(result.value)
    return scores


def join_overlapping(events: np.ndarray) -> List[Tuple[float, float]]:
    """Joins events ``[N, 2]`` that overlap."""
    joined: List[Tuple[float, float]] = []
    for start, end in sorted(events.tolist()):
        if joined and start < joined[-1][1]:
            start, last = joined.pop()
            end = max(end, last)
        joined.append((start, end))
    return joined
