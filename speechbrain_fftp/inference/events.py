"""Tags and events, and the probabilities over time in which they are found.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
from typing import List, Optional, Union

import numpy as np

Threshold = Union[float, np.ndarray, str, None]

# The average of time steps rises over its length where an event begins. But the
# first and last time steps of a sound are less certain than the others: events
# are found best (in validation) if the rise counts as this part of the length.
RISE = 0.5


def check_thresholds(threshold, learned=None, low=None):
    """Checks the two thresholds of events.

    Arguments
    ---------
    threshold : float, numpy.ndarray or str, optional
        Of all classes, or of each ``[C]``; "auto" for the learned ones; None
        for 0.
    learned : numpy.ndarray, optional
        The model's thresholds ``[C]``, if any.
    low : float or numpy.ndarray, optional
        Where an event ends; by default a quarter of the threshold.

    Returns
    -------
    threshold, low : float or numpy.ndarray

    Raises
    ------
    ValueError
        If a threshold is out of range, or none was learned.
    """
    if threshold is None:
        threshold = 0.0
    if isinstance(threshold, str):
        if threshold != "auto" or learned is None:
            raise ValueError(
                f"threshold={threshold!r}: give a number, or 'auto' if the "
                "model has thresholds, which `fftp-tag calibrate` learns."
            )
        threshold = learned
    highest = np.asarray(threshold, np.float64)
    if not ((0 <= highest) & (highest <= 1)).all():
        raise ValueError(f"threshold={threshold} must be in 0..1.")
    if low is None:
        low = threshold / 4
    lowest = np.asarray(low, np.float64)
    if not ((0 <= lowest) & (lowest <= highest)).all():
        raise ValueError(
            f"low={low} must be in 0..{highest.min():g}: an event must reach "
            "the threshold and ends where its probability falls below low."
        )
    return threshold, low


@dataclasses.dataclass(frozen=True)
class Tag:
    """A label and its probability; ``to_dict`` returns both by name.

    Arguments
    ---------
    label, probability : str, float
        The class, and its probability (0 to 1).

    Example
    -------
    >>> Tag("Siren", 0.9).to_dict()
    {'label': 'Siren', 'probability': 0.9}
    """

    label: str
    probability: float

    def to_dict(self) -> dict:
        """Returns all by name."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Event:
    """A detected label with its times; ``to_dict`` returns all by name.

    Arguments
    ---------
    start, end : float
        Start and end of the event in seconds.
    label, probability : str, float
        What it is, and its highest probability within the event.

    Example
    -------
    >>> Event(1.5, 4.0, "Siren", 0.9).to_dict()
    {'start': 1.5, 'end': 4.0, 'label': 'Siren', 'probability': 0.9}
    """

    start: float
    end: float
    label: str
    probability: float

    def to_dict(self) -> dict:
        """Returns all by name."""
        return dataclasses.asdict(self)


def rank_tags(probs, labels, top_k=5, threshold=0.0):
    """The tags of probabilities ``[C]``, see ``AudioTagger.tag_file``."""
    if top_k < 1:
        raise ValueError(f"top_k={top_k} must be positive.")
    order = np.argsort(-probs, kind="stable")
    # NaN, of a damaged model, is kept
    is_tag = ~(probs < np.asarray(threshold, probs.dtype))
    best = order[is_tag[order]][:top_k]
    return [Tag(labels[number], float(probs[number])) for number in best]


def average_size(seconds, step):
    """Number of time steps, odd, in a moving average of some seconds."""
    return 2 * (round(seconds / step) // 2) + 1


def rise_seconds(size, step):
    """Seconds in which an average of so many time steps rises at an event."""
    return 0.0 if size == 1 else RISE * size * step


def moving_average(probs, size):
    """Moving average of time steps ``[T, C]`` over an odd number of them.

    Fewer count at both ends.
    """
    sums = np.cumsum(probs, axis=0, dtype=np.float64)
    sums = np.concatenate([np.zeros_like(sums[:1]), sums])
    steps = np.arange(len(probs))
    first = np.maximum(steps - size // 2, 0)
    end = np.minimum(steps + size // 2 + 1, len(probs))
    mean = (sums[end] - sums[first]) / (end - first)[:, None]
    return mean.astype(probs.dtype)


def step_targets(times, events, n_classes):
    """Targets ``[N, C]`` of time steps: 1.0 within an event of a class.

    ``times`` are the centres of the steps, events start and end in seconds and
    the number of the class.
    """
    targets = np.zeros((len(times), n_classes), np.float32)
    for start, end, number in events:
        inside = (times >= start) & (times < end)
        if not inside.any():  # a short event has the nearest time step
            inside[np.abs(times - (start + end) / 2).argmin()] = True
        targets[inside, number] = 1.0
    return targets


@dataclasses.dataclass(frozen=True)
class Timeline:
    """Probabilities over time and of the whole file, as of ``analyze``.

    Arguments
    ---------
    times, probs, clip_probs : numpy.ndarray
        Centres ``[W]`` of windows or time steps in seconds, ascending, their
        probabilities ``[W, C]``, and those of the whole file ``[C]``.
    duration, window : float
        Length of the file and of the windows in seconds.
    labels : list of str
    thresholds : numpy.ndarray, optional
        Those of the model ``[C]``, for ``threshold="auto"``.

    Example
    -------
    >>> times, probs = np.array([1.0, 2.0]), np.array([[0.1], [0.7]])
    >>> found = Timeline(times, probs, np.array([0.8]), 3.0, 2.0, ["Siren"])
    >>> found.tags()[0].label, found.events()[0].end
    ('Siren', 3.0)
    """

    times: np.ndarray
    probs: np.ndarray
    clip_probs: np.ndarray
    duration: float
    window: float
    labels: list
    thresholds: Optional[np.ndarray] = None

    def tags(self, top_k: int = 5, threshold: Threshold = None) -> List[Tag]:
        """Finds the most probable labels of the file.

        Arguments
        ---------
        top_k, threshold : int, float, numpy.ndarray or "auto", optional
            See ``AudioTagger.tag_file``.

        Returns
        -------
        list of Tag
        """
        threshold, _ = check_thresholds(threshold, self.thresholds)
        return rank_tags(self.clip_probs, self.labels, top_k, threshold)

    def smooth(self, seconds: float) -> "Timeline":
        """Averages time steps over some seconds, an odd number of steps.

        Returns
        -------
        Timeline
            Its ``window`` is by how much an average rises at an event.
        """
        if len(self.times) < 2:
            return self
        step = self.times[1] - self.times[0]
        size = average_size(seconds, step)
        if size == 1:
            return self
        return dataclasses.replace(
            self,
            probs=moving_average(self.probs, size),
            window=rise_seconds(size, step),
        )

    def events(
        self,
        threshold: Threshold = 0.5,
        low: Optional[float] = None,
        merge_gap: float = 0.0,
        min_duration: float = 0.0,
    ) -> List[Event]:
        """Finds the events of each class by hysteresis thresholding.

        An event is a run of windows whose probabilities stay at or above
        ``low`` and reach ``threshold`` at least once. Near an edge of an event,
        windows overlap it partly, and the probability rises over several
        windows. The edge is extrapolated from the times at which the
        probability crosses ``low`` and ``threshold`` to the time at which it
        would have been zero. This is exact if the probability is proportional
        to the share of the window that the event fills, clipped at one. A run
        that contains the first window starts at 0 if this reaches
        ``threshold``, and else within the window, by its share of the highest
        probability; likewise at the end.

        Arguments
        ---------
        threshold, low : float, numpy.ndarray or "auto", optional
            Probability that an event must reach, and below which it ends; of
            each class ``[C]``, or of all. ``threshold`` may be "auto". Default
            of ``low``: a quarter of it.
        merge_gap, min_duration : float
            Events of a class that are less than ``merge_gap`` seconds apart are
            one; those that are then shorter than ``min_duration`` are dropped.

        Returns
        -------
        list of Event
            Sorted by start.
        """
        threshold, low = check_thresholds(threshold, self.thresholds, low)
        # Most classes have no event
        is_found = (self.probs >= np.asarray(threshold, np.float32)).any(0)
        classes = np.flatnonzero(is_found)
        n_classes = self.probs.shape[1]
        tracker = Hysteresis(
            threshold=np.broadcast_to(threshold, n_classes)[classes],
            low=np.broadcast_to(low, n_classes)[classes],
            n_classes=len(classes),
            window=self.window,
        )
        found = []
        for time, probs in zip(self.times, self.probs[:, classes]):
            found += tracker.update(time, probs)
        found += tracker.finish(self.duration)
        events = [
            Event(
                start=start,
                end=min(end, self.duration),
                label=self.labels[classes[number]],
                probability=peak,
            )
            for start, end, number, peak in sorted(found, key=lambda x: x[2])
        ]
        events = [
            event
            for event in merge_events(events, merge_gap)
            if event.end - event.start >= min_duration
        ]
        return sorted(events, key=lambda event: (event.start, event.end))


def merge_events(events, gap):
    """Joins events of a class that are less than a gap in seconds apart.

    ``events`` are sorted by start within each class.
    """
    merged = {}  # by label
    for event in events:
        earlier = merged.setdefault(event.label, [])
        if earlier and event.start - earlier[-1].end < gap:
            before = earlier.pop()
            event = Event(
                start=before.start,
                end=event.end,
                label=event.label,
                probability=max(before.probability, event.probability),
            )
        earlier.append(event)
    return [event for each in merged.values() for event in each]


class Hysteresis:
    """Finds the events of C classes by the rules of ``Timeline.events``.

    The state of a class is a few numbers, however long an event lasts.

    Arguments
    ---------
    threshold, low : float or numpy.ndarray
        Of all classes, or of each of them ``[C]``.
    n_classes : int
        Number of classes C.
    window : float
        Length of a window in seconds.
    """

    def __init__(self, threshold, low, n_classes, window=0.0):
        # Rounded to float32, the precision of the probabilities
        self.high = np.full(n_classes, np.asarray(threshold, np.float32), float)
        self.low = np.full(n_classes, np.asarray(low, np.float32), float)
        self.window = window
        # The last window
        self.time = np.full(n_classes, np.nan)
        self.probs = np.full(n_classes, np.nan)
        # The run of windows at or above low: its highest probability, NaN if
        # there is no run, and the probability of its first window
        self.peak = np.full(n_classes, np.nan)
        self.first = np.full(n_classes, np.nan)
        # When it rose above low, NaN if it contains the first window of all,
        # when it rose above the threshold, and last fell below the threshold
        self.rise = np.full(n_classes, np.nan)
        self.reach = np.full(n_classes, np.nan)
        self.fall = np.full(n_classes, np.nan)

    @property
    def reached(self):
        """Whether each class ``[C]`` is in a run that reaches the threshold."""
        return self.peak >= self.high

    def update(self, time, probs):
        """Adds a window: its centre in seconds, and its probabilities ``[C]``.

        Returns start, end, class and probability of each event that ends.
        """
        probs = np.asarray(probs, np.float64)
        is_above = probs >= self.low
        is_inside = self.peak >= 0
        with np.errstate(divide="ignore", invalid="ignore"):
            # The times at which classes cross low and the threshold
            slope = (time - self.time) / (probs - self.probs)
            at_low = self.time + (self.low - self.probs) * slope
            at_high = self.time + (self.high - self.probs) * slope
        begins = is_above & ~is_inside
        reaches = (probs >= self.high) & ~(self.peak >= self.high)
        falls = (self.probs >= self.high) & (probs < self.high)
        self.first = np.where(begins, probs, self.first)
        self.rise = np.where(begins, at_low, self.rise)
        self.reach = np.where(reaches, at_high, self.reach)
        self.fall = np.where(falls, at_high, self.fall)
        ends = is_inside & ~is_above & self.reached
        found = [
            self.event(number, fell=at_low[number], end=at_low[number])
            for number in np.flatnonzero(ends)
        ]
        self.peak = np.where(is_above, np.fmax(self.peak, probs), np.nan)
        self.time = np.full_like(self.time, time)
        self.probs = probs
        return found

    def finish(self, duration):
        """Returns the events that last until the end."""
        return [
            self.event(number, fell=np.nan, end=duration)
            for number in np.flatnonzero(self.reached)
        ]

    def event(self, number, fell, end):
        """Start, end, class and probability of an event of a class.

        ``fell`` is when it falls below low, NaN if it has not yet.
        """
        rose = self.rise[number]
        start = np.nan_to_num(rose)
        longest = 0.4 * (end - start)  # so that start < end
        begins_after = self._inwards(
            number, rose, self.reach[number], self.first[number]
        )
        ends_before = self._inwards(
            number, fell, self.fall[number], self.probs[number]
        )
        start = max(start + min(begins_after, longest), 0.0)
        end -= min(ends_before, longest)
        return float(start), float(end), int(number), float(self.peak[number])

    def _inwards(self, number, at_low, at_high, edge):
        """Seconds from a crossing of low to the edge of the event.

        ``edge`` is the probability of the first or last window, for a run that
        contains the first or last window of all: ``at_low`` is NaN.
        """
        high, low = self.high[number], self.low[number]
        if np.isnan(at_low):
            if edge >= high:
                return 0.0
            return self.window * (1 - edge / self.peak[number])
        # Seconds that the probability takes to rise from zero to low
        ramp = low * self.window
        if high > low:
            ramp = min(abs(at_high - at_low) * low / (high - low), ramp)
        return self.window / 2 - ramp
