"""Events in probabilities that arrive one window at a time.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np


class Hysteresis:
    """Finds the events of C classes by the rules of ``Timeline.events``.

    The state of a class is a few numbers, however long an event lasts. The
    thresholds hold for all classes or for each of them ``[C]``.

    Example
    -------
    >>> found = Hysteresis(0.5, 0.25, 1)
    >>> for time, p in enumerate([0.0, 0.5, 0.75, 0.25, 0.0]):
    ...     events = found.update(float(time), [p])
    >>> events
    [(0.5, 3.0, 0, 0.75)]
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
