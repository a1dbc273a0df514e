"""Predictions of a recording: frame-level ones, or of windows.

Authors
 * The speechbrain_fftp authors 2026
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from fftp_tag.audio.decode import MIN_SECONDS
from fftp_tag.audio.pieces import Batch, Pieces, Slide, through
from fftp_tag.model.session import Model
from fftp_tag.tag.events import Step

FRAME_OUTPUTS = ("frame_probabilities", "probabilities")


class Predictions(NamedTuple):
    """Consecutive predictions of a recording."""

    times: np.ndarray  # of the centres of predictions in seconds, [N]
    rows: np.ndarray  # their outputs, [N, X]
    clip_probs: np.ndarray  # probabilities of the recording so far, [C]
    end: int  # number of samples so far


class Join:
    """Joins the frame-level predictions of overlapping pieces, in order.

    Except for the last piece, predictions are used whose centres are at least
    ``margin`` samples before its end.

    Arguments
    ---------
    model : Model
    outputs : sequence of str
        The frame-level output and, for models with classes, ``probabilities``.
    margin : float, optional
        By default half of what the pieces of a file overlap by.
    """

    def __init__(
        self,
        model: Model,
        outputs: Sequence[str],
        margin: float | None = None,
    ):
        size, hop = model.info.pieces
        self.model, self.outputs = model, outputs
        self.margin = (size - hop) / 2 if margin is None else margin
        self.best = np.zeros(len(model.labels), np.float32)
        self.done = -1  # the first sample of the last prediction that was used
        self.rest: list[Predictions] = []  # what the next piece hears better

    def push(self, pieces: Pieces) -> Iterator[Predictions]:
        """Yields the predictions of each piece."""
        model = self.model
        half = model.span_samples / 2
        starts, wavs = pieces
        rows, *clips = model.run(self.outputs, wavs)
        inside = model.info.prediction_starts(wavs.shape[1])
        for number, start in enumerate(starts.tolist()):
            firsts, end = start + inside, start + wavs.shape[1]
            self.best = np.max([self.best, *(x[number] for x in clips)], 0)
            times = (firsts + half) / model.sample_rate
            is_sure = firsts + half <= end - self.margin
            is_new = firsts > self.done
            used, later = (
                Predictions(times[x], rows[number, x], self.best, end)
                for x in (is_new & is_sure, is_new & ~is_sure)
            )
            yield used
            self.rest = [later]
            self.done = firsts[is_sure].max(initial=self.done)

    def finish(self) -> Iterator[Predictions]:
        """Yields what is left of the last piece."""
        yield from self.rest


class TagPieces:
    """Tags the pieces of a recording by a model of clips, and passes it on."""

    def __init__(self, model: Model):
        self.model = model
        self.stages = Slide(*model.info.pieces), Batch()
        self.best = np.zeros(len(model.labels), np.float32)

    def push(self, block: np.ndarray) -> Iterator[np.ndarray]:
        """Yields the samples."""
        self.tag([block], is_end=False)
        yield block

    def finish(self) -> Iterator[np.ndarray]:
        """Yields nothing."""
        self.tag([], is_end=True)
        return iter(())

    def tag(self, blocks: Iterable[np.ndarray], is_end: bool) -> None:
        """Tags the pieces that end in blocks."""
        for _, wavs in through(blocks, *self.stages, is_end=is_end):
            best = self.model.probabilities(wavs).max(0)
            self.best = np.maximum(self.best, best)


class TagWindows:
    """Tags windows by a model of clips."""

    def __init__(self, model: Model):
        self.model = model
        self.best = np.zeros(len(model.labels), np.float32)

    def push(self, windows: Pieces) -> Iterator[Predictions]:
        """Yields predictions of windows, unless they are too short."""
        rate, ends = self.model.sample_rate, windows.ends
        if windows.wavs.shape[1] >= MIN_SECONDS * rate:
            rows = self.model.probabilities(windows.wavs)
            self.best = np.maximum(self.best, rows.max(0))
            centres = (windows.starts + ends) / (2 * rate)
            yield Predictions(centres, rows, self.best, int(ends[-1]))

    def finish(self) -> Iterator[Predictions]:
        """Yields nothing."""
        return iter(())


class Middles:
    """Turns predictions into steps, each until halfway to the next one."""

    def __init__(self, sample_rate: int):
        self.sample_rate = sample_rate
        self.start, self.centre, self.end = 0.0, 0.0, 0.0
        self.probs: np.ndarray | None = None  # of the last prediction

    def push(self, found: Predictions) -> Iterator[Step]:
        """Yields the step before each prediction."""
        for centre, probs in zip(
            found.times.tolist(), found.rows, strict=False
        ):
            if self.probs is not None:
                middle = (self.centre + centre) / 2
                yield self.start, middle, self.probs
                self.start = middle
            self.centre, self.probs = centre, probs
            self.end = found.end / self.sample_rate

    def finish(self) -> Iterator[Step]:
        """Yields the last step, which ends with the recording."""
        if self.probs is not None:
            yield self.start, self.end, self.probs
