"""Tags, and events with a start and an end, found in probabilities over time.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses

import numpy as np
import torch

from speechbrain_fftp.inference.hysteresis import Hysteresis


@dataclasses.dataclass(frozen=True)
class Tag:
    """A label and its probability; ``to_dict`` returns both by name.

    Arguments
    ---------
    label, probability : str, float
        What it is, and how probable, in 0..1.

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


def rank_tags(probs, labels, top_k=5, threshold=None):
    """Returns the most probable labels.

    Arguments
    ---------
    probs, labels : torch.Tensor, list of str
        Probabilities ``[C]`` and labels of the classes.
    top_k, threshold : int, float or torch.Tensor, optional
        Maximum number of labels, and their lowest probability, for all classes
        or for each ``[C]``.

    Returns
    -------
    list of Tag
        Sorted by probability, the highest first.

    Raises
    ------
    ValueError
        If ``top_k`` is not positive or ``threshold`` not in 0..1.

    Example
    -------
    >>> rank_tags(torch.tensor([0.25, 0.75]), ["a", "b"], top_k=1)
    [Tag(label='b', probability=0.75)]
    """
    if top_k < 1:
        raise ValueError(f"top_k={top_k} must be positive.")
    threshold = 0.0 if threshold is None else threshold
    check_thresholds(threshold)
    best = probs.masked_fill(probs.double() < threshold, -1.0)
    best, classes = best.topk(min(top_k, len(probs)))
    return [
        Tag(labels[number], probability)
        for number, probability in zip(classes.tolist(), best.tolist())
        if probability != -1.0
    ]


def find_events(
    times, probs, labels, duration, window=0.0, threshold=0.5, low=None
):
    """Finds the events of each class by hysteresis thresholding.

    An event is a run of windows whose probabilities stay at or above ``low``
    and reach ``threshold`` at least once. Near an edge of an event, windows
    overlap it partly, and the probability rises over several windows. The
    edge is extrapolated from the times at which the probability crosses
    ``low`` and ``threshold`` to the time at which it would have been zero.
    This is exact if the probability is proportional to the share of the window
    that the event fills, clipped at one. A run that contains the first window
    starts at 0 if this reaches ``threshold``, and else within the window, by
    its share of the highest probability; likewise at the end.

    Arguments
    ---------
    times, probs : torch.Tensor
        Centres ``[W]`` of the windows in seconds, ascending, and probabilities
        ``[W, C]``.
    labels : list of str
    duration, window : float
        Length of the file and of the windows in seconds.
    threshold, low : float or torch.Tensor, optional
        Probability that an event must reach, and below which it ends; of each
        class ``[C]``, or of all. Default of the second: a quarter of the first.

    Returns
    -------
    list of Event
        Sorted by start.

    Raises
    ------
    ValueError
        Unless 0 <= low <= threshold <= 1.

    Example
    -------
    >>> times = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    >>> probs = torch.tensor([[0.0], [0.5], [0.8], [0.5], [0.1]])
    >>> [event] = find_events(times, probs, ["Siren"], 6.0, low=0.25)
    >>> event.start, round(event.end, 3), round(event.probability, 3)
    (1.5, 4.625, 0.8)
    """
    low = check_thresholds(threshold, low)
    times, probs = times.double().numpy(), probs.double().numpy()
    # Most classes have no event
    classes = np.flatnonzero((probs >= np.asarray(threshold, "f")).any(0))
    limits = (np.broadcast_to(x, probs.shape[1:]) for x in (threshold, low))
    limits = (limit[classes] for limit in limits)
    tracker = Hysteresis(*limits, len(classes), window)
    found = []
    for time, p in zip(times, probs[:, classes]):
        found += tracker.update(time, p)
    found += tracker.finish(duration)
    events = [
        Event(start, min(end, duration), labels[classes[number]], peak)
        for start, end, number, peak in found
    ]
    return sorted(events, key=lambda event: (event.start, event.end))


def check_thresholds(threshold, low=None):
    """Checks the thresholds of ``find_events``.

    Arguments
    ---------
    threshold, low : float or torch.Tensor, optional
        The upper and the lower threshold, or those of each class ``[C]``.

    Returns
    -------
    float or torch.Tensor
        The lower threshold, by default a quarter of the upper one.

    Raises
    ------
    ValueError
        Unless 0 <= low <= threshold <= 1.

    Example
    -------
    >>> check_thresholds(0.5)
    0.125
    """
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
    return low
