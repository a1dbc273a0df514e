"""F1 of events against strong labels.

True and found events of a class in a clip are matched one to one.

Authors
 * The speechbrain_fftp authors 2026
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from fftp_tag.data.strong_labels import Truth
from fftp_tag.errors import InputError
from fftp_tag.tag.events import Timeline


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


def event_metrics(paired: dict[str, list[ClipEvents]]) -> dict[str, float]:
    """F1 of the events that the rules of timelines find.

    Arguments
    ---------
    paired : dict
        ``ClipEvents`` by label, from ``pair_events``.

    Returns
    -------
    dict of float
        ``overlap_F1``, ``overlap_precision``, ``overlap_recall``: over all
        events; they match if their intersection is half of their union or more.
        ``event_F1``: the mean over classes that occur; events match if onsets
        are within 200 ms, and offsets within 200 ms or 20 % of the true length.

    Raises
    ------
    InputError
        If there are no true events.
    """
    on_time = [
        count_events(clips, is_on_time).f1
        for clips in paired.values()
        if any(len(clip.true) for clip in clips)
    ]
    if not on_time:
        raise InputError("The scored clips have no events of these classes.")
    together = [clip for clips in paired.values() for clip in clips]
    total = count_events(together, overlap_by_half)
    return {
        "overlap_F1": total.f1,
        "overlap_precision": total.right / max(total.found, 1),
        "overlap_recall": total.right / total.true,
        "event_F1": float(np.mean(on_time)),
    }


def count_by_class(
    paired: dict[str, list[ClipEvents]],
) -> dict[str, Counts]:
    """Numbers of events of each class that occurs or is found; they match if they
    overlap by half, see ``event_metrics``.
    """
    return {
        label: count_events(clips, overlap_by_half)
        for label, clips in paired.items()
        if clips
    }


def pair_events(
    timelines: dict[str, Timeline], truth: Truth, labels: list[str]
) -> dict[str, list[ClipEvents]]:
    """True and found events by label, in the clips that have any.

    Arguments
    ---------
    timelines : dict
        Timelines by clip id.
    truth : dict
        True events (start, end, label) of some of these clips, by id.
    labels : list of str
        The classes that are scored.
    """
    paired: dict[str, list[ClipEvents]] = {label: [] for label in labels}
    nothing = np.zeros((0, 2))
    for clip, events in truth.items():
        true = by_label(events)
        found = by_label(
            (x.start, x.end, x.label) for x in timelines[clip].events()
        )
        for label in paired.keys() & (true.keys() | found.keys()):
            paired[label].append(
                ClipEvents(true.get(label, nothing), found.get(label, nothing))
            )
    return paired


def by_label(events: Iterable[tuple]) -> dict[str, np.ndarray]:
    """Starts and ends ``[N, 2]`` of events (start, end, label), by label."""
    found: dict[str, list] = defaultdict(list)
    for start, end, label in events:
        found[label].append((start, end))
    return {label: np.array(times) for label, times in found.items()}


def count_events(
    clips: list[ClipEvents], can_match: Callable[[ClipEvents], np.ndarray]
) -> Counts:
    """Counts events and matches; ``can_match`` returns booleans ``[N, M]``."""
    return Counts(
        right=sum(len(match(can_match(clip))) for clip in clips),
        true=sum(len(clip.true) for clip in clips),
        found=sum(len(clip.found) for clip in clips),
    )


def match(can_match: np.ndarray) -> dict[int, int]:
    """Matches as many rows and columns of booleans as possible one to one.

    Returns rows by their columns. Each row in turn takes a column that is free,
    or one whose row can take another (augmenting paths).
    """
    rows: dict[int, int] = {}

    def take(row: int, tried: set[int]) -> bool:
        """Whether the row has got a column, other than those tried."""
        for column in np.flatnonzero(can_match[row]).tolist():
            if column not in tried:
                tried.add(column)
                if column not in rows or take(rows[column], tried):
                    rows[column] = row
                    return True
        return False

    for row in range(len(can_match)):
        take(row, set())
    return rows


def overlap_by_half(clip: ClipEvents) -> np.ndarray:
    """Whether true and found events overlap by half, ``[N, M]``."""
    true_starts, true_ends = clip.true.T[..., None]  # [N, 1]
    starts, ends = clip.found.T
    intersection = np.minimum(true_ends, ends) - np.maximum(true_starts, starts)
    # Of events that overlap; the intersection of others is negative
    union = np.maximum(true_ends, ends) - np.minimum(true_starts, starts)
    return intersection >= 0.5 * union


def is_on_time(clip: ClipEvents, collar: float = 0.2) -> np.ndarray:
    """Whether true and found events agree in onset and offset, ``[N, M]``.

    ``collar`` is the maximum error of an onset in seconds.
    """
    # Rounded, against rounding errors at the collar
    errors = np.abs(clip.true[:, None] - clip.found).round(4)
    of_offset = np.maximum(collar, 0.2 * np.diff(clip.true)).round(4)
    return (errors[:, :, 0] <= collar) & (errors[:, :, 1] <= of_offset)
