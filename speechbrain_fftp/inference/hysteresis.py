"""Events in probabilities that arrive one window at a time.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np


class Hysteresis:
    """Finds the events of each class by hysteresis thresholding.

    See ``find_events`` for the rules. The state of a class, ten numbers, does
    not grow with the length of an event.

    Arguments
    ---------
    threshold, low : float or torch.Tensor
        Probability that an event must reach, and below which it ends, for all
        classes or for each of them ``[C]``.
    n_classes : int
        C.
    window : float
        Length of the windows in seconds.

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
        # Of the last window. NaN: there is none
        self.time, self.p = np.full((2, n_classes), np.nan)
        # Of the run of windows at or above low: highest probability, NaN if
        # there is no run; probability of its first window; times at which it
        # rose above low (NaN if it contains the first window of all) and above
        # the threshold; last time at which it fell below the threshold
        self.peak, self.first, self.rise, self.reach, self.fall = np.full(
            (5, n_classes), np.nan
        )

    @property
    def reached(self):
        """Whether each class ``[C]`` is in a run that reaches the threshold."""
        return self.peak >= self.high

    def update(self, time, p, classes=slice(None)):
        """Adds the next window of all classes, or of some.

        Arguments
        ---------
        time : float
            Centre of the window in seconds.
        p : numpy.ndarray
            Probabilities ``[C]``, or those of ``classes``.
        classes : numpy.ndarray
            Numbers of classes; by default, all.

        Returns
        -------
        list of tuple
            Start, end, class and probability of the events that end.
        """
        p, last = np.asarray(p, np.float64), self.p[classes]
        low, high = self.low[classes], self.high[classes]
        peak = self.peak[classes]
        above, inside = p >= low, peak >= 0
        ends = inside & ~above
        since = self.time[classes]
        with np.errstate(divide="ignore", invalid="ignore"):
            # The times at which a class crosses low and the threshold
            slope = (time - since) / (p - last)
            at_low = since + (low - last) * slope
            at_high = since + (high - last) * slope
        for state, changed, value in (
            (self.first, above & ~inside, p),
            (self.rise, above & ~inside, at_low),
            (self.reach, (p >= high) & ~(peak >= high), at_high),
            (self.fall, (last >= high) & (p < high), at_high),
        ):
            state[classes] = np.where(changed, value, state[classes])
        numbers = np.arange(len(self.p))[classes]
        found = []
        for i in np.flatnonzero(ends & (peak >= high)):
            number = numbers[i]
            inward = self._inward(number, at_low[i], self.fall[number])
            found.append(self._event(number, at_low[i], inward))
        self.peak[classes] = np.where(above, np.fmax(peak, p), np.nan)
        self.time[classes], self.p[classes] = time, p
        return found

    def finish(self, duration):
        """Ends the stream.

        Arguments
        ---------
        duration : float
            Its length in seconds.

        Returns
        -------
        list of tuple
            The events that last until the end, as of ``update``.
        """
        return [
            self._event(number, duration, self._share(number, self.p[number]))
            for number in np.flatnonzero(self.reached)
        ]

    def _event(self, number, end, inward):
        """An event that ends at a time, corrected by seconds inwards."""
        start, inwards = 0.0, self._share(number, self.first[number])
        if not np.isnan(self.rise[number]):
            start = self.rise[number]
            inwards = self._inward(number, start, self.reach[number])
        most = 0.4 * (end - start)  # so that start < end
        start, end = start + min(inwards, most), end - min(inward, most)
        start, peak = max(start, 0.0), self.peak[number]
        return float(start), float(end), int(number), float(peak)

    def _share(self, number, p):
        """The correction at the first or last window of all, given its p."""
        partly = p < self.high[number]
        return self.window * (1 - p / self.peak[number]) if partly else 0.0

    def _inward(self, number, at_low, at_high):
        """The correction where a class crosses low and the threshold."""
        low, high = self.low[number], self.high[number]
        # Seconds that the probability takes to rise from zero to low
        ramp = low * self.window
        if high > low:
            ramp = min(abs(at_high - at_low) * low / (high - low), ramp)
        return self.window / 2 - ramp
