"""What a model finds in an audio file: over time, and in the whole file.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses

import torch

from speechbrain_fftp.inference.events import Tag, check_thresholds, find_events


@dataclasses.dataclass(frozen=True)
class Timeline:
    """Probabilities over time and of the whole file, as of ``analyze``.

    No class is more probable at any time than in the whole file.

    Arguments
    ---------
    times : torch.Tensor
        Centres ``[W]`` of the windows in seconds, ascending.
    probs : torch.Tensor
        Probabilities ``[W, C]`` of the windows.
    clip_probs : torch.Tensor
        Probabilities ``[C]`` of the whole file.
    duration : float
        Duration of the file in seconds.
    window : float
        Length of the windows in seconds.
    labels : list of str
        Labels of the C classes.

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

    def tags(self, top_k=5, threshold=None):
        """Returns the most probable labels, see ``rank_tags``.

        Arguments
        ---------
        top_k : int
            Maximum number of labels.
        threshold : float, optional
            Drops labels below this probability.

        Returns
        -------
        list of Tag
            Sorted by probability, the highest first.
        """
        return rank_tags(self.clip_probs, self.labels, top_k, threshold)

    def events(self, threshold=0.5, low=None):
        """Finds events with their start and end, see ``find_events``.

        Arguments
        ---------
        threshold : float
            Probability that an event must reach.
        low : float, optional
            Probability below which an event ends; by default, half the other.

        Returns
        -------
        list of Event
            Sorted by start.
        """
        return find_events(
            self.times,
            self.probs,
            self.labels,
            self.duration,
            self.window,
            threshold,
            low,
        )


def check_top_k(top_k, threshold=None):
    """Checks the options of ``rank_tags``, before a model runs.

    Arguments
    ---------
    top_k : int
        Maximum number of labels.
    threshold : float, optional
        The lowest probability.

    Raises
    ------
    ValueError
        If ``top_k`` is not positive or ``threshold`` not in 0..1.

    Example
    -------
    >>> check_top_k(5, 0.5)
    """
    if top_k < 1:
        raise ValueError(f"top_k={top_k} must be positive.")
    check_thresholds(threshold or 0.0)


def rank_tags(probs, labels, top_k=5, threshold=None):
    """Returns the most probable labels.

    Arguments
    ---------
    probs : torch.Tensor
        Probabilities ``[C]``.
    labels : list of str
        Labels of the C classes.
    top_k : int
        Maximum number of labels.
    threshold : float, optional
        Drops labels below this probability.

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
    >>> [tag] = rank_tags(torch.tensor([0.25, 0.75]), ["a", "b"], top_k=1)
    >>> tag.label, tag.probability
    ('b', 0.75)
    """
    check_top_k(top_k, threshold)
    best, classes = probs.topk(min(top_k, len(probs)))
    return [
        Tag(labels[number], probability)
        for number, probability in zip(classes.tolist(), best.tolist())
        if threshold is None or probability >= threshold
    ]


def limit_windows(spans, probs, clip_spans, clip_probs):
    """Limits the probabilities of windows to those of the clips around them.

    Models are trained on whole clips, and see less in a short window: it may
    sound like something else. No class of a window stays more probable than in
    the clips that overlap the window.

    Arguments
    ---------
    spans : torch.Tensor
        Starts and ends ``[W, 2]`` of the windows, ascending.
    probs : torch.Tensor
        Their probabilities ``[W, C]``.
    clip_spans : torch.Tensor
        Starts and ends ``[P, 2]`` of the clips, which cover all windows.
    clip_probs : torch.Tensor
        Their probabilities ``[P, C]``.

    Returns
    -------
    torch.Tensor
        Probabilities ``[W, C]``.

    Example
    -------
    >>> spans = torch.tensor([[0, 2], [1, 3], [2, 4]])
    >>> clip_spans = torch.tensor([[0, 2], [2, 4]])
    >>> clip_probs = torch.tensor([[0.1], [0.6]])
    >>> limit_windows(spans, torch.ones(3, 1), clip_spans, clip_probs).flatten()
    tensor([0.1000, 0.6000, 0.6000])
    """
    starts, ends = spans.T.contiguous()
    limits = torch.zeros_like(probs)
    for (start, end), limit in zip(clip_spans, clip_probs):
        first = torch.searchsorted(ends, start, right=True)
        stop = torch.searchsorted(starts, end)
        limits[first:stop] = limits[first:stop].maximum(limit)
    return probs.minimum(limits)
