"""Events in a stream of audio, as they begin and end.

Authors
 * The speechbrain_fftp authors 2026
"""

import copy
import math

import numpy as np
import torch

from speechbrain_fftp.inference import events
from speechbrain_fftp.inference.config import MODULES
from speechbrain_fftp.inference.windows import cut_windows
from speechbrain_fftp.lobes.features import DatasetNormalization, KaldiFbank
from speechbrain_fftp.lobes.models.AuM import AuM

STEP_HOP = 0.5  # default hop of ``AuM.step`` in seconds


def stream_events(
    tagger, blocks, window=None, hop=None, threshold=0.5, low=None
):
    """Finds events in a stream of audio, as they begin and end.

    Yields each ``Event`` of ``AudioTagger.tag_long`` for the same audio twice:
    when it has certainly begun, with estimates of its start and probability and
    the end None; and when it has ended. Both are known at most the maximum clip
    length and a hop after the first window that reaches the threshold, or is
    below low. Memory does not grow with the length of the stream.

    Without ``window``, an AuM with ``bidirectional=False`` takes each frame
    once, with ``AuM.step``; the default ``hop`` is then 0.5 s. Probabilities
    are those of all that was heard so far, as far as the model remembers it,
    and events are known at once.

    ``blocks`` are consecutive float32 samples ``[S]`` at the model's sampling
    rate, of any size, and are taken only when the model is ready. The others
    are those of ``tag_long``. A ValueError names one that is out of range, or
    NaN from the model.
    """
    limits = events.check_thresholds(threshold, tagger.thresholds, low)
    rows = _window_rows
    if window is None and _can_step(tagger):
        rows, hop = _step_rows, STEP_HOP if hop is None else hop
    elif tagger.has_frames and window is None and hop is None:
        raise ValueError(
            "This model classifies time steps, of which there is no stream: "
            "give the length of windows, such as 1.0."
        )
    window, hop = tagger.check_window(window, hop)
    labels, rate = tagger.labels, tagger.hparams.sample_rate
    sizes = (0.0, 0) if rows is _step_rows else (window, tagger.piece_samples)
    tracker = events.Hysteresis(*limits, len(labels), sizes[0])
    pending = _Pending(tracker, sizes[1], round(sizes[0] * rate), rate)
    begun = set()

    def notices(found, ended=True):
        """Yields the begins of events that are new, and their ends."""
        for start, end, number, peak in found:
            if number not in begun:
                begun.add(number)
                yield events.Event(start, None, labels[number], peak)
            if ended:
                begun.remove(number)
                yield events.Event(start, end, labels[number], peak)

    for *span, members, probs in rows(
        tagger, blocks, window * rate, hop * rate
    ):
        if probs.isnan().any():
            raise ValueError(
                "the model returns NaN: its weights are damaged, train it again"
            )
        pending.add(*span, members, probs.float().cpu().numpy())
        yield from notices(pending.settle(pending.position))
        if set(np.flatnonzero(pending.reached)) - begun:
            yield from notices(copy.deepcopy(pending).finish(), ended=False)
    yield from notices(pending.finish())


def _can_step(tagger):
    """Whether a model has ``step`` and features of independent frames."""
    features, norm, encoder, _ = (tagger.mods[name] for name in MODULES)
    return (
        isinstance(features, KaldiFbank)
        and isinstance(norm, DatasetNormalization)
        and isinstance(encoder, AuM)
        and not encoder.bidirectional
        and encoder.embedding.freq_patches == 1
        and encoder.embedding.stride_frames <= encoder.embedding.patch_frames
    )


def _window_rows(tagger, blocks, window, hop):
    """Spans, grids and probabilities ``[C]`` of pieces and windows."""
    piece = tagger.piece_samples
    grids = [(piece, piece), (round(window), hop)]
    for start, end, members, wav in cut_windows(blocks, grids):
        if end > start:
            probs = tagger.tag_batch(torch.from_numpy(wav).unsqueeze(0))
            yield start, end, members, probs[0]


def _step_rows(tagger, blocks, _, hop):
    """The same for all audio so far, at the end of each hop."""
    size, shift = tagger.mods.compute_features.window, tagger.frame_samples
    frames = max(round(hop / shift), 1)
    grid = (frames - 1) * shift + size, frames * shift
    state, position = None, 0  # of the next frame
    for start, end, _, wav in cut_windows(blocks, [grid]):
        wav = torch.from_numpy(wav[position - start :]).to(tagger.device)
        if end == 0 or end - position < size and position:
            return
        with torch.inference_mode(), tagger.inference_ctx:
            with tagger.call_threads.set(wav):
                feats, _ = tagger.tagger.features(wav.unsqueeze(0))
                step = tagger.mods.embedding_model.step(feats, state)
                logits, state = tagger.tagger.classify(step[0]), step[1]
        position += feats.shape[1] * shift
        heard = position - shift + size
        yield heard, heard, (False, True), tagger.probabilities(logits)[0]


class _Pending:
    """Windows whose probabilities may still rise, and what is known of them.

    No class is more probable in a window than in the pieces that overlap it,
    see ``Timeline``. Of these, the last one ends with the stream: it overlaps a
    window unless the stream goes on for the length of a piece.
    """

    def __init__(self, tracker, piece, window, rate):
        self.tracker, self.piece, self.rate = tracker, piece, rate
        self.longest = max(piece, window)
        # Start and end, probabilities, and limits so far of windows
        self.spans = np.zeros((0, 2), int)
        self.probs = self.limits = np.zeros((0, len(tracker.low)), np.float32)
        self.pieces = []  # start, end and probabilities, if windows may come
        self.passed = np.zeros(len(tracker.low), int)  # windows of each class
        self.position = 0  # samples of the stream, at least

    def add(self, start, end, members, probs):
        """Adds a piece, a window or both, in the order of ``cut_windows``."""
        self.position = max(self.position, end)
        first = self.position - self.longest  # of windows to come
        self.pieces = [piece for piece in self.pieces if piece[1] > first]
        if members[0]:
            self.pieces.append((start, end, probs))
        if members[1]:
            self.spans = np.vstack([self.spans, (start, end)])
            self.probs = np.vstack([self.probs, probs])
            self.limits = np.vstack([self.limits, np.zeros_like(probs)])
        events.raise_limits(self.limits, self.spans, self.pieces)

    def settle(self, position):
        """Passes what is final at a position to the tracker; returns events."""
        found, p = [], self.probs
        final = p <= self.limits
        final |= self.spans[:, 1:] + self.piece <= position
        if self.piece:
            p = np.minimum(p, self.limits)
        for number, time in enumerate(self.spans.mean(1) / self.rate):
            classes = np.flatnonzero(final[number] & (self.passed == number))
            if len(classes):
                found += self.tracker.update(time, p[number, classes], classes)
                self.passed[classes] += 1
        done = self.passed.min()
        self.passed -= done
        self.spans, self.probs, self.limits = (
            rows[done:] for rows in (self.spans, self.probs, self.limits)
        )
        return found

    @property
    def reached(self):
        """Whether each class ``[C]`` is in an event that is certain."""
        certain = np.minimum(self.probs, self.limits) >= self.tracker.high
        certain &= np.arange(len(certain))[:, None] >= self.passed
        return self.tracker.reached | certain.any(0)

    def finish(self):
        """Ends the stream here; returns the remaining events."""
        found = self.settle(math.inf)
        return found + self.tracker.finish(self.position / self.rate)
