"""From probabilities over time to events with a start and an end.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np

from speechbrain_fftp.inference.results import Event


def find_events(
    times, probs, labels, duration, window=0.0, threshold=0.5, low=None
):
    """Finds events by hysteresis, each class for itself.

    An event is a run of windows with a probability of at least ``low``, one of
    which reaches ``threshold``. It begins where the last window ends that does
    not hold any of it: there the probability, which rises from ``low`` to
    ``threshold`` as windows take in more of the event, was zero, if it rose as
    steadily before. Exact if the probability is the share of the window that
    the event fills, or this share times a factor, up to one. An event's end is
    found likewise, backwards. A run from the first window on begins with the
    file, one up to the last window ends with it.

    Arguments
    ---------
    times : torch.Tensor
        Centres ``[W]`` of the windows, in seconds, ascending.
    probs : torch.Tensor
        Probabilities ``[W, C]``.
    labels : list of str
        The C labels.
    duration : float
        The file's, in seconds.
    window : float
        The windows' length, in seconds.
    threshold : float
        What an event has to reach.
    low : float, optional
        How low it may fall; half of ``threshold`` when absent.

    Returns
    -------
    list of Event
        By start.

    Raises
    ------
    ValueError
        Unless 0 <= low <= threshold <= 1.

    Example
    -------
    >>> import torch
    >>> times = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    >>> probs = torch.tensor([[0.0], [0.5], [0.8], [0.5], [0.1]])
    >>> [event] = find_events(times, probs, ["Siren"], 6.0, low=0.25)
    >>> event.start, round(event.end, 3), round(event.probability, 3)
    (1.5, 4.625, 0.8)
    """
    low = check_thresholds(threshold, low)
    times, probs = times.double().numpy(), probs.double().numpy()
    # As comparisons of the model's own float32 would find it.
    low, threshold = float(np.float32(low)), float(np.float32(threshold))
    settings = window, threshold, low
    events = []
    for number in np.flatnonzero((probs >= threshold).any(0)):
        p = probs[:, number]
        # Indices of the first window of each run, and of the one after it
        edges = np.diff(np.pad(p >= low, 1).astype(np.int8))
        firsts, stops = np.flatnonzero(edges > 0), np.flatnonzero(edges < 0)
        for first, stop in zip(firsts, stops):
            peak = p[first:stop].max()
            if peak < threshold:
                continue
            start, end, inwards = 0.0, duration, [0.0, 0.0]
            if first > 0:
                start, inwards[0] = _edge(
                    times[first - 1 : stop], p[first - 1 : stop], *settings
                )
            if stop < len(p):
                end, inwards[1] = _edge(
                    times[first : stop + 1][::-1],
                    p[first : stop + 1][::-1],
                    *settings,
                )
            most = 0.4 * (end - start)  # whatever the windows, some is left
            start += min(inwards[0], most)
            end -= min(inwards[1], most)
            start, end = (min(max(x, 0.0), duration) for x in (start, end))
            label = labels[number]
            events.append(Event(float(start), float(end), label, float(peak)))
    return sorted(events, key=lambda event: (event.start, event.end))


def check_thresholds(threshold, low=None):
    """Checks the thresholds of ``find_events``.

    Arguments
    ---------
    threshold : float
        The upper one.
    low : float, optional
        The lower one.

    Returns
    -------
    float
        The lower one, half of the upper one when absent.

    Raises
    ------
    ValueError
        Unless 0 <= low <= threshold <= 1.

    Example
    -------
    >>> check_thresholds(0.5)
    0.25
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold={threshold} must be in 0..1.")
    low = threshold / 2 if low is None else low
    if not 0 <= low <= threshold:
        raise ValueError(
            f"low={low} must be in 0..{threshold}, the threshold: an event "
            "begins at the threshold and goes on while it is not below low."
        )
    return low


def _edge(times, p, window, threshold, low):
    """When a run crosses ``low``, and how much later the event begins.

    The first probability is below ``low``, and then not up to the threshold.
    Times may go backwards, from an event's end.
    """
    high = max(1, int(np.argmax(p >= threshold)))
    crossings = []
    for i, level in ((1, low), (high, threshold)):
        share = (level - p[i - 1]) / (p[i] - p[i - 1])
        crossings.append(times[i - 1] + share * (times[i] - times[i - 1]))
    # How long the probability took from zero to low
    ramp = low * window
    if threshold > low:
        rise = abs(crossings[1] - crossings[0])
        ramp = min(rise * low / (threshold - low), ramp)
    return crossings[0], window / 2 - ramp
