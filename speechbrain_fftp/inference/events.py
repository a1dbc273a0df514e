"""Tags and events, and the probabilities over time in which they are found.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses

import numpy as np
import torch


def check_thresholds(threshold, learned, low=None):
    """The upper and the lower threshold ``[C]``, or of all classes, checked.

    "auto" stands for the learned ones, None for 0 and, of ``low``, a quarter.
    """
    threshold = 0.0 if threshold is None else threshold
    if isinstance(threshold, str):
        if threshold != "auto" or learned is None:
            raise ValueError(
                f"threshold={threshold!r}: give a number, or 'auto' if the "
                "model has thresholds, which `fftp-tag calibrate` learns."
            )
        threshold = learned
    highest = torch.as_tensor(threshold, dtype=torch.double)
    if not ((0 <= highest) & (highest <= 1)).all():
        raise ValueError(f"threshold={threshold} must be in 0..1.")
    low = threshold / 4 if low is None else low
    lowest = torch.as_tensor(low, dtype=torch.double)
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

    to_dict = dataclasses.asdict


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

    to_dict = dataclasses.asdict


def rank_tags(probs, labels, top_k, threshold):
    """The tags of probabilities ``[C]``, see ``AudioTagger.tag_file``."""
    if top_k < 1:
        raise ValueError(f"top_k={top_k} must be positive.")
    best = probs.masked_fill(probs.double() < threshold, -1.0)
    best, classes = best.topk(min(top_k, len(probs)))
    return [
        Tag(labels[number], probability)
        for number, probability in zip(classes.tolist(), best.tolist())
        if probability != -1.0
    ]


@dataclasses.dataclass(frozen=True)
class Timeline:
    """Probabilities over time and of the whole file, as of ``analyze``.

    No class is more probable in a window than in the pieces, as long as the
    clips that the model encodes at once, that overlap it.

    Arguments
    ---------
    times, probs, clip_probs : torch.Tensor
        Centres ``[W]`` of the windows in seconds, ascending, their
        probabilities ``[W, C]``, and those of the whole file ``[C]``.
    duration, window : float
        Length of the file and of the windows in seconds.
    labels : list of str
    thresholds : torch.Tensor, optional
        Those of the model ``[C]``, for ``threshold="auto"``.

    Example
    -------
    >>> times, probs = torch.tensor([1.0, 2.0]), torch.tensor([[0.1], [0.7]])
    >>> found = Timeline(times, probs, torch.tensor([0.8]), 3.0, 2.0, ["Siren"])
    >>> found.tags()[0].label, found.events()[0].end
    ('Siren', 3.0)
    """

    times: torch.Tensor
    probs: torch.Tensor
    clip_probs: torch.Tensor
    duration: float
    window: float
    labels: list
    thresholds: torch.Tensor = None

    def tags(self, top_k=5, threshold=None):
        """Finds the most probable labels of the file.

        Arguments
        ---------
        top_k, threshold : int, float or torch.Tensor or "auto", optional
            See ``AudioTagger.tag_file``.

        Returns
        -------
        list of Tag
        """
        threshold, _ = check_thresholds(threshold, self.thresholds)
        return rank_tags(self.clip_probs, self.labels, top_k, threshold)

    def events(self, threshold=0.5, low=None):
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
        threshold, low : float or torch.Tensor or "auto", optional
            Probability that an event must reach, and below which it ends; of
            each class ``[C]``, or of all. ``threshold`` may be "auto". Default
            of ``low``: a quarter of it.

        Returns
        -------
        list of Event
            Sorted by start.
        """
        threshold, low = check_thresholds(threshold, self.thresholds, low)
        times, probs = self.times.double().numpy(), self.probs.double().numpy()
        # Most classes have no event
        classes = np.flatnonzero((probs >= np.asarray(threshold, "f")).any(0))
        limits = (np.broadcast_to(x, probs.shape[1:]) for x in (threshold, low))
        limits = (limit[classes] for limit in limits)
        tracker = Hysteresis(*limits, len(classes), self.window)
        labels, found = [self.labels[number] for number in classes], []
        for time, p in zip(times, probs[:, classes]):
            found += tracker.update(time, p)
        found += tracker.finish(self.duration)
        events = [
            Event(start, min(end, self.duration), labels[number], peak)
            for start, end, number, peak in found
        ]
        return sorted(events, key=lambda event: (event.start, event.end))


def raise_limits(limits, spans, pieces):
    """Raises limits ``[W, C]`` of windows to what overlapping pieces allow.

    Models are trained on whole clips, and a short window may sound like
    something else. So no class is more probable in a window than in the pieces,
    of the length of a training clip, that overlap it. Windows have ``spans``
    ``[W, 2]``, pieces are start, end and probabilities ``[C]``.
    """
    for start, end, probs in pieces:
        overlap = (spans[:, 0] < end) & (start < spans[:, 1])
        limits[overlap] = np.maximum(limits[overlap], probs)


class Hysteresis:
    """Finds the events of C classes by the rules of ``Timeline.events``.

    The state of a class is a few numbers, however long an event lasts. The
    thresholds hold for all classes or for each of them ``[C]``.
    """

    def __init__(self, threshold, low, n_classes, window=0.0):
        # Rounded to float32, the precision of the probabilities
        self.high, self.low = (
            np.full(n_classes, np.asarray(limit, np.float32), np.float64)
            for limit in (threshold, low)
        )
        self.window = window
        state = np.full((7, n_classes), np.nan)
        self.time, self.p = state[:2]  # of the last window
        # Of the run of windows at or above low: highest probability, NaN if
        # there is no run; probability of its first window; times at which it
        # rose above low, NaN if it contains the first window of all, and above
        # the threshold; last time at which it fell below the threshold
        self.peak, self.first, self.rise, self.reach, self.fall = state[2:]

    @property
    def reached(self):
        """Whether each class ``[C]`` is in a run that reaches the threshold."""
        return self.peak >= self.high

    def update(self, time, p, classes=slice(None)):
        """Adds a window's centre in seconds and its probabilities.

        Those are of all classes ``[C]``, or of those with some numbers. Returns
        start, end, class and probability of each event that ends.
        """
        p, last, since = np.asarray(p), self.p[classes], self.time[classes]
        low, high = self.low[classes], self.high[classes]
        peak = self.peak[classes]
        above, inside = p >= low, peak >= 0
        with np.errstate(divide="ignore", invalid="ignore"):
            # The times at which classes cross low and the threshold
            slope = (time - since) / (p - last)
            at_low = since + (low - last) * slope
            at_high = since + (high - last) * slope
        for state, changes, value in (
            (self.first, above & ~inside, p),
            (self.rise, above & ~inside, at_low),
            (self.reach, (p >= high) & ~(peak >= high), at_high),
            (self.fall, (last >= high) & (p < high), at_high),
        ):
            state[classes] = np.where(changes, value, state[classes])
        numbers = np.arange(len(self.p))[classes]
        ends = np.flatnonzero(inside & ~above & (peak >= high))
        found = [self._event(numbers[i], at_low[i], at_low[i]) for i in ends]
        self.peak[classes] = np.where(above, np.fmax(peak, p), np.nan)
        self.time[classes], self.p[classes] = time, p
        return found

    def finish(self, duration):
        """Returns the events that last until the end of the stream."""
        numbers = np.flatnonzero(self.reached)
        return [self._event(number, np.nan, duration) for number in numbers]

    def _event(self, number, fell, end):
        """An event that falls below low at a time, NaN if it does not."""
        peak, window = self.peak[number], self.window
        high, low = self.high[number], self.low[number]
        rose, reach, first = (
            state[number] for state in (self.rise, self.reach, self.first)
        )
        edges = (rose, reach, first), (fell, self.fall[number], self.p[number])
        inwards = []
        for at_low, at_high, p in edges:
            if np.isnan(at_low):
                inwards.append(window * (1 - p / peak) if p < high else 0.0)
                continue
            # Seconds that the probability takes to rise from zero to low
            ramp = low * window
            if high > low:
                ramp = min(abs(at_high - at_low) * low / (high - low), ramp)
            inwards.append(window / 2 - ramp)
        start = np.nan_to_num(rose)
        most = 0.4 * (end - start)  # so that start < end
        start = max(start + min(inwards[0], most), 0.0)
        end -= min(inwards[1], most)
        return float(start), float(end), int(number), float(peak)
