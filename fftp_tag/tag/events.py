"""Finds tags and events in probabilities over time.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from fftp_tag.audio.pieces import through
from fftp_tag.errors import InputError
from fftp_tag.model.info import Numbers, Rules


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

    ``end`` is None while the event is ongoing.

    Example
    -------
    >>> Event(1.5, 4.0, "Siren", 0.9).to_dict()
    {'start': 1.5, 'end': 4.0, 'label': 'Siren', 'probability': 0.9}
    """

    start: float
    end: float | None
    label: str
    probability: float

    def to_dict(self) -> dict:
        """The fields by name."""
        return dataclasses.asdict(self)


def are_tags(probs: np.ndarray, threshold: Numbers) -> np.ndarray:
    """Whether classes are tags; of probability 0, as in silence, none is."""
    return (probs >= np.asarray(threshold, np.float32)) & (probs > 0)


def rank_tags(
    probs: np.ndarray,
    labels: Sequence[str],
    top_k: int = 5,
    threshold: Numbers = 0.0,
) -> list[Tag]:
    """Finds the tags in probabilities ``[C]``, the most probable first."""
    if top_k < 1:
        raise InputError(f"top_k={top_k} must be positive.")
    order = np.argsort(-probs, kind="stable")
    best = order[are_tags(probs, threshold)[order]][:top_k]
    return [Tag(labels[c], float(probs[c])) for c in best]


def of_tags(
    events: Iterable[Event],
    labels: list[str],
    probs: np.ndarray,
    rules: Rules,
) -> list[Event]:
    """The events of classes that are tags of a file, by its ``probs``, sorted."""
    threshold = tag_threshold(rules, None)
    is_tag = dict(zip(labels, are_tags(probs, threshold), strict=False))
    found = [event for event in events if is_tag[event.label]]
    return sorted(found, key=lambda event: (event.start, event.end))


# Start and end in seconds of what a prediction is of, and probabilities [C]
Step = tuple[float, float, np.ndarray]


class EventFinder:
    """Finds events while predictions of a recording arrive, a stage.

    Steps may be left out in which no class reaches ``Rules.low``.

    Arguments
    ---------
    labels : list of str
        Names of the C classes.
    rules : Rules
    ongoing : bool
        Whether to yield events also once while they go on.

    Example
    -------
    >>> from fftp_tag.model.info import default_rules
    >>> rules = default_rules(1).replace(merge_gap=2.0)
    >>> finder = EventFinder(["Siren"], rules)
    >>> probs = np.array([[0.1], [0.9], [0.1], [0.8], [0.1], [0.1]])
    >>> for event in through(zip(range(6), range(1, 7), probs), finder):
    ...     print(event)
    Event(start=1, end=4, label='Siren', probability=0.9)
    """

    def __init__(
        self, labels: Sequence[str], rules: Rules, ongoing: bool = False
    ):
        self.labels = labels
        self.rules = rules
        self.ongoing = ongoing
        self.begun: set[str] = set()  # labels of ongoing events
        # Start, end so far and highest probability of each open event
        self.open: dict[int, tuple[float, float, float]] = {}

    def push(self, step: Step) -> Iterator[Event]:
        """Yields the events that a step ends or, if asked for, begins."""
        for event in self.update(*step):
            self.begun.discard(event.label)
            yield event
        for event in self.going_on() if self.ongoing else ():
            if event.label not in self.begun:
                self.begun.add(event.label)
                yield event

    def finish(self) -> Iterator[Event]:
        """Yields the events that end with the recording."""
        for c in list(self.open):
            yield from self.close(c, np.inf)

    def update(
        self, start: float, end: float, probs: np.ndarray
    ) -> list[Event]:
        """Adds a step and returns the events that have ended."""
        is_heard = probs >= self.rules.low
        found = []
        for c in list(self.open):
            # The earliest time at which the event may continue
            again = start if is_heard[c] else end
            found += self.close(c, again)
        for c in np.flatnonzero(is_heard).tolist():
            first, _, peak = self.open.get(c, (start, end, 0.0))
            self.open[c] = first, end, max(peak, float(probs[c]))
        return found

    def close(self, c: int, again: float) -> list[Event]:
        """Closes and returns an event unless it continues at ``again``."""
        start, end, peak = self.open[c]
        if again == end or again - end < self.rules.merge_gap[c]:
            return []
        del self.open[c]
        if not self.is_event(c, start, end, peak):
            return []
        return [Event(start, end, self.labels[c], peak)]

    def going_on(self) -> list[Event]:
        """The ongoing events."""
        return [
            Event(start, None, self.labels[c], peak)
            for c, (start, end, peak) in self.open.items()
            if self.is_event(c, start, end, peak)
        ]

    def is_event(self, c: int, start: float, end: float, peak: float) -> bool:
        """Whether a sound is long and probable enough to be an event."""
        is_long = end - start >= self.rules.min_duration[c]
        return bool(is_long and peak >= self.rules.high[c])


@dataclasses.dataclass(frozen=True)
class Timeline:
    """Probabilities over time and of a whole file; ``analyze`` returns one.

    Arguments
    ---------
    times, probs : numpy.ndarray
        Centres ``[T]`` of predictions or windows in seconds, ascending, and
        their probabilities ``[T, C]``.
    clip_probs : numpy.ndarray
        Probabilities of the whole file ``[C]``.
    duration : float
        Length of the file in seconds.
    labels : list of str
    rules : Rules
        The model's rules.

    Example
    -------
    >>> from fftp_tag.model.info import default_rules
    >>> probs = np.array([[0.1], [0.7]])
    >>> found = Timeline(
    ...     np.array([1.0, 2.0]),
    ...     probs,
    ...     clip_probs=probs.max(0),
    ...     duration=3.0,
    ...     labels=["Siren"],
    ...     rules=default_rules(1),
    ... )
    >>> found.tags()[0].label, found.events()[0].start, found.events()[0].end
    ('Siren', 1.5, 3.0)
    """

    times: np.ndarray
    probs: np.ndarray
    clip_probs: np.ndarray
    duration: float
    labels: list[str]
    rules: Rules

    @property
    def edges(self) -> list[float]:
        """Where predictions begin, and the last one ends, in seconds: each
        extends halfway to its neighbours.
        """
        middles = (self.times[1:] + self.times[:-1]) / 2
        return [0.0, *middles.tolist(), self.duration]

    def tags(
        self, top_k: int = 5, threshold: Numbers | None = None
    ) -> list[Tag]:
        """The most probable labels of the file, see ``AudioTagger.tag_file``."""
        return rank_tags(
            self.clip_probs,
            self.labels,
            top_k,
            tag_threshold(self.rules, threshold),
        )

    def events(
        self,
        threshold: Numbers | None = None,
        merge_gap: Numbers | None = None,
        min_duration: Numbers | None = None,
    ) -> list[Event]:
        """Finds events, sorted by start; for arguments see ``Rules``.

        By default, the model's rules apply. If it has learnt thresholds, the
        class of an event is a tag of the file: its probability in the whole
        file reaches ``Rules.threshold`` as well.
        """
        rules = self.rules.replace(threshold, merge_gap, min_duration)
        edges = self.edges
        is_heard = (self.probs >= rules.low).any(1)
        steps = (
            (edges[t], edges[t + 1], self.probs[t])
            for t in np.flatnonzero(is_heard).tolist()
        )
        found = through(steps, EventFinder(self.labels, rules))
        return of_tags(found, self.labels, self.clip_probs, rules)


def tag_threshold(rules: Rules, threshold: Numbers | None) -> Numbers:
    """The given threshold of tags, else the learnt thresholds, else 0."""
    if threshold is not None:
        return rules.replace(threshold).threshold
    return rules.threshold if rules.is_learnt else 0.0
