"""What a model finds in an audio file: over time, and in the whole file.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses

import torch

from speechbrain_fftp.inference.events import find_events, rank_tags
from speechbrain_fftp.inference.thresholds import resolve_threshold


@dataclasses.dataclass(frozen=True)
class Timeline:
    """Probabilities over time and of the whole file, as of ``analyze``.

    No class is more probable at any time than in the whole file.

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

    @classmethod
    def from_batches(cls, batches, rate, window, *more):
        """Makes a timeline of what a model finds in a file, see ``analyze``.

        Models are trained on whole clips, and a short window may sound like
        something else. So no class is more probable in a window than in the
        pieces, of the length of a training clip, that overlap it.

        Arguments
        ---------
        batches : iterable of tuple
            ``spans`` and ``members`` as of ``file_windows``, for grids of
            clips, pieces and windows, and their probabilities ``[B, C]``.
        rate, window, *more : int, float, tuple
            Sampling rate in Hz; the others as of the class.

        Returns
        -------
        Timeline
            Of the windows; of the file, the maximum over clips.
        """
        batches = ((s, m, probs.float().cpu()) for s, m, probs in batches)
        spans, members, probs = map(torch.cat, zip(*batches))
        clip_probs = probs[members[:, 0]].amax(0)
        piece_spans, pieces = spans[members[:, 1]], probs[members[:, 1]]
        spans, probs = spans[members[:, 2]], probs[members[:, 2]]
        starts, ends = spans.T.contiguous()
        limits = torch.zeros_like(probs)
        for (start, end), limit in zip(piece_spans, pieces):
            # Of the windows that overlap the piece
            first = torch.searchsorted(ends, start, right=True)
            stop = torch.searchsorted(starts, end)
            limits[first:stop] = limits[first:stop].maximum(limit)
        times = spans.double().mean(1).div(rate).float()
        probs, duration = probs.minimum(limits), ends[-1].item() / rate
        return cls(times, probs, clip_probs, duration, window, *more)

    def tags(self, top_k=5, threshold=None):
        """Returns the most probable labels, see ``rank_tags``.

        Arguments
        ---------
        top_k, threshold : int, float or torch.Tensor or "auto", optional

        Returns
        -------
        list of Tag
        """
        threshold = resolve_threshold(threshold, self.thresholds)
        return rank_tags(self.clip_probs, self.labels, top_k, threshold)

    def events(self, threshold=0.5, low=None):
        """Finds events with their start and end, see ``find_events``.

        Arguments
        ---------
        threshold, low : float or torch.Tensor, optional
            ``threshold`` may also be "auto".

        Returns
        -------
        list of Event
        """
        threshold = resolve_threshold(threshold, self.thresholds)
        lengths = self.duration, self.window
        return find_events(
            self.times, self.probs, self.labels, *lengths, threshold, low
        )
