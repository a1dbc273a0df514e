"""Tags and events, and how they are found in probabilities over time.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np

from speechbrain_fftp.dataio.errors import InputError

Numbers = Union[float, np.ndarray]  # of all classes, or of each of them [C]

THRESHOLD = 0.5  # of events, where a model has learnt none


@dataclasses.dataclass(frozen=True)
class Tag:
    """A label and its probability.

    Example
    -------
    >>> Tag("Siren", 0.9).to_dict()
    {'label': 'Siren', 'probability': 0.9}
    """

    label: str
    probability: float

    def to_dict(self) -> dict:
        """The fields by name."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Event:
    """A label with start and end in seconds, and its highest probability.

    The end of an event that goes on is None.

    Example
    -------
    >>> Event(1.5, 4.0, "Siren", 0.9).to_dict()
    {'start': 1.5, 'end': 4.0, 'label': 'Siren', 'probability': 0.9}
    """

    start: float
    end: Optional[float]
    label: str
    probability: float

    def to_dict(self) -> dict:
        """The fields by name."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Rules:
    """What makes an event of each class, ``[C]``.

    Arguments
    ---------
    threshold : numpy.ndarray
        The probability that it reaches throughout.
    merge_gap, min_duration : numpy.ndarray
        In seconds: events that are less than a gap apart are one; shorter ones
        than a minimum are then dropped.
    is_learnt : bool
        Whether the thresholds are, or are 0.5.
    """

    threshold: np.ndarray
    merge_gap: np.ndarray
    min_duration: np.ndarray
    is_learnt: bool = False

    def replace(
        self,
        threshold: Optional[Numbers] = None,
        merge_gap: Optional[Numbers] = None,
        min_duration: Optional[Numbers] = None,
    ) -> "Rules":
        """The same with other values; None keeps what there is."""
        values: Dict[str, Any] = {}
        for name, value, high in (
            ("threshold", threshold, 1.0),
            ("merge_gap", merge_gap, np.inf),
            ("min_duration", min_duration, np.inf),
        ):
            if value is None:
                continue
            before = getattr(self, name)
            value = np.asarray(value, before.dtype)
            if not ((0 <= value) & (value <= high)).all():
                raise InputError(f"{name}={value} must be in 0..{high:g}.")
            values[name] = np.broadcast_to(value, before.shape)
        return dataclasses.replace(self, **values)


def default_rules(n_classes: int) -> Rules:
    """Those of a model that has learnt none."""
    return Rules(
        threshold=np.full(n_classes, THRESHOLD, np.float32),
        merge_gap=np.zeros(n_classes),
        min_duration=np.zeros(n_classes),
    )


def rank_tags(
    probs: np.ndarray,
    labels: Sequence[str],
    top_k: int = 5,
    threshold: Numbers = 0.0,
) -> List[Tag]:
    """The tags of probabilities ``[C]``, the most probable first."""
    if top_k < 1:
        raise InputError(f"top_k={top_k} must be positive.")
    order = np.argsort(-probs, kind="stable")
    is_tag = probs >= np.asarray(threshold, np.float32)
    best = order[is_tag[order]][:top_k]
    return [Tag(labels[c], float(probs[c])) for c in best]


class EventFinder:
    """Finds events in the time steps of a recording as they come.

    Arguments
    ---------
    labels : list of str
        Names of the C classes.
    rules : Rules

    Example
    -------
    >>> rules = Rules(np.array([0.5]), np.array([2.0]), np.array([0.0]))
    >>> finder = EventFinder(["Siren"], rules)
    >>> for start, prob in enumerate([0.1, 0.9, 0.1, 0.8, 0.1, 0.1]):
    ...     for event in finder.update(start, start + 1, np.array([prob])):
    ...         print(event)
    Event(start=1, end=4, label='Siren', probability=0.9)
    """

    def __init__(self, labels: Sequence[str], rules: Rules):
        self.labels = labels
        self.rules = rules
        # The event of a class so far: start, end and highest probability
        self.open: Dict[int, Tuple[float, float, float]] = {}

    def update(
        self, start: float, end: float, probs: np.ndarray
    ) -> List[Event]:
        """Adds a time step: its start and end in seconds, probabilities ``[C]``.

        Returns the events that are over.
        """
        is_heard = probs >= self.rules.threshold
        found = []
        for c in list(self.open):
            # When the class is heard again, at the earliest
            again = start if is_heard[c] else end
            found += self.close(c, again)
        for c in np.flatnonzero(is_heard).tolist():
            first, _, peak = self.open.get(c, (start, end, 0.0))
            self.open[c] = first, end, max(peak, float(probs[c]))
        return found

    def close(self, c: int, again: float) -> List[Event]:
        """Takes the event of a class unless a sound at a time continues it."""
        start, end, peak = self.open[c]
        if again == end or again - end < self.rules.merge_gap[c]:
            return []
        del self.open[c]
        if not self.is_long(c, start, end):
            return []
        return [Event(start, end, self.labels[c], peak)]

    def going_on(self) -> Dict[int, Event]:
        """The events that are long enough and may go on, by class."""
        return {
            c: Event(start, None, self.labels[c], peak)
            for c, (start, end, peak) in self.open.items()
            if self.is_long(c, start, end)
        }

    def finish(self) -> List[Event]:
        """Takes the events that last until the end."""
        return [x for c in list(self.open) for x in self.close(c, np.inf)]

    def is_long(self, c: int, start: float, end: float) -> bool:
        """Whether an event of a class lasts as long as it must."""
        return end - start >= self.rules.min_duration[c]


@dataclasses.dataclass(frozen=True)
class Timeline:
    """Probabilities over time and of the whole file, as ``analyze`` finds them.

    Arguments
    ---------
    times, probs : numpy.ndarray
        Centres ``[T]`` of time steps or windows in seconds, ascending, and
        their probabilities ``[T, C]``.
    clip_probs : numpy.ndarray
        Probabilities of the whole file ``[C]``.
    duration : float
        Length of the file in seconds.
    labels : list of str
    rules : Rules
        Those of the model.

    Example
    -------
    >>> rules = Rules(np.array([0.5]), np.array([0.0]), np.array([0.0]))
    >>> probs = np.array([[0.1], [0.7]])
    >>> found = Timeline(
    ...     np.array([1.0, 2.0]), probs, probs.max(0), 3.0, ["Siren"], rules
    ... )
    >>> found.tags()[0].label, found.events()[0].start, found.events()[0].end
    ('Siren', 1.5, 3.0)
    """

    times: np.ndarray
    probs: np.ndarray
    clip_probs: np.ndarray
    duration: float
    labels: List[str]
    rules: Rules

    def tags(
        self, top_k: int = 5, threshold: Optional[Numbers] = None
    ) -> List[Tag]:
        """The most probable labels of the file, see ``AudioTagger.tag_file``."""
        return rank_tags(
            self.clip_probs,
            self.labels,
            top_k,
            tag_threshold(self.rules, threshold),
        )

    def events(
        self,
        threshold: Optional[Numbers] = None,
        merge_gap: Optional[Numbers] = None,
        min_duration: Optional[Numbers] = None,
    ) -> List[Event]:
        """Finds events, sorted by start; for arguments see ``Rules``.

        A time step stands for the time between the middles to its neighbours.
        By default, the rules are those of the model.
        """
        rules = self.rules.replace(threshold, merge_gap, min_duration)
        middles = (self.times[1:] + self.times[:-1]) / 2
        edges = [0.0, *middles.tolist(), self.duration]
        finder = EventFinder(self.labels, rules)
        found = []
        # Only where a class is heard can events begin or go on
        is_heard = (self.probs >= rules.threshold).any(1)
        for t in np.flatnonzero(is_heard).tolist():
            found += finder.update(edges[t], edges[t + 1], self.probs[t])
        found += finder.finish()
        return sorted(found, key=lambda event: (event.start, event.end))


def tag_threshold(rules: Rules, threshold: Optional[Numbers]) -> Numbers:
    """The threshold of tags: the one given, those learnt, or else none."""
    if threshold is not None:
        return rules.replace(threshold).threshold
    return rules.threshold if rules.is_learnt else 0.0
