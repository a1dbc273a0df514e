"""Events in a stream of audio, as they begin and end.

Authors
 * The speechbrain_fftp authors 2026
"""

import copy
import math

import numpy as np
import torch

from speechbrain_fftp.inference.events import Event, check_thresholds
from speechbrain_fftp.inference.hysteresis import Hysteresis
from speechbrain_fftp.inference.windows import _cut_windows, frame_size
from speechbrain_fftp.lobes.features import DatasetNormalization, KaldiFbank
from speechbrain_fftp.lobes.models.AuM import AuM

STEP_HOP = 0.5  # default hop of ``AuM.step`` in seconds


def stream_events(
    tagger, blocks, window=None, hop=None, threshold=0.5, low=None
):
    """Finds events in a stream of audio, as they begin and end.

    The events are those of ``AudioTagger.tag_long`` for the same audio. Memory
    does not grow with the length of the stream.

    An event has begun when it is certain: at the latest, a window, the maximum
    clip length and a hop after a sound that fills a window. Its start and its
    probability are then estimates; both are final when it has ended, which is
    known at the latest as long after its end.

    Without ``window``, an AuM with ``bidirectional=False`` takes each frame
    once, with ``AuM.step``. Probabilities are then those of all that was heard
    so far, as far as the model remembers it, and events begin and end at once.

    Arguments
    ---------
    tagger : AudioTagger
        The model.
    blocks : iterable of numpy.ndarray
        Consecutive samples ``[S]`` at the model's sampling rate, float32, in
        blocks of any size. They are taken only when the model is ready.
    window, hop : float, optional
        As of ``AudioTagger.analyze``; 0.5 is the default hop of ``AuM.step``.
    threshold, low : float or torch.Tensor, optional
        As of ``find_events``.

    Yields
    ------
    Event
        Each event twice: when it has begun, with the end None, and when it has
        ended. Events of the same class do not overlap.

    Raises
    ------
    ValueError
        If an option is out of range, or the model returns NaN.

    Example
    -------
    >>> def warn(tagger, blocks):
    ...     for event in stream_events(tagger, blocks, window=1.0, hop=0.25):
    ...         if event.label == "Siren" and event.end is None:
    ...             print("A siren since", event.start)
    """
    low = check_thresholds(threshold, low)
    if window is None and _can_step(tagger):
        window, hop = 0.0, STEP_HOP if hop is None else hop
        tagger.check_window(None, hop)
        rows = _step_rows(tagger, blocks, hop)
    else:
        window, hop = tagger.check_window(window, hop)
        rows = _window_rows(tagger, blocks, window, hop)
    labels, rate = tagger.labels, tagger.hparams.sample_rate
    tracker = Hysteresis(threshold, low, len(labels), window)
    pending = _Pending(tracker, tagger.max_samples, rate)
    begun = set()

    def notices(events, ended=True):
        for start, end, number, peak in events:
            if number not in begun:
                begun.add(number)
                yield Event(start, None, labels[number], peak)
            if ended:
                begun.remove(number)
                yield Event(start, end, labels[number], peak)

    for start, end, members, probs in rows:
        if probs.isnan().any():
            raise ValueError(
                "the model returns NaN: its weights are damaged, train it again"
            )
        pending.add(start, end, members, probs.float().cpu().numpy())
        yield from notices(pending.settle(pending.position))
        if set(np.flatnonzero(pending.reached)) - begun:
            yield from notices(copy.deepcopy(pending).finish(), ended=False)
    yield from notices(pending.finish())


def _can_step(tagger):
    """Whether a model, of frames that depend on no later ones, has ``step``."""
    mods, encoder = tagger.mods, tagger.mods.embedding_model
    return (
        isinstance(mods.compute_features, KaldiFbank)
        and isinstance(mods.mean_var_norm, DatasetNormalization)
        and isinstance(encoder, AuM)
        and not encoder.bidirectional
        and encoder.embedding.freq_patches == 1
        and encoder.embedding.stride_frames <= encoder.embedding.patch_frames
    )


def _step_rows(tagger, blocks, hop):
    """As ``_window_rows``, after each hop, of all that was heard so far."""
    size, shift, _ = frame_size(tagger.mods.compute_features)
    frames = max(round(hop * tagger.hparams.sample_rate / shift), 1)
    grid = (frames - 1) * shift + size, frames * shift
    state, position = None, 0  # start of the next frame
    for start, end, _, wav in _cut_windows(blocks, [grid]):
        wav = torch.from_numpy(wav[position - start :]).to(tagger.device)
        if end == start or 0 < len(wav) < size and position:
            return
        with torch.inference_mode(), tagger.inference_ctx:
            with tagger.call_threads.set(wav):
                feats, _ = tagger.tagger.features(wav.unsqueeze(0))
                step = tagger.mods.embedding_model.step(feats, state)
                embedding, state = step
                logits = tagger.tagger.classify(embedding)
        position += feats.shape[1] * shift
        heard = position - shift + size
        yield heard, heard, (True, True), tagger.probabilities(logits)[0]


def _window_rows(tagger, blocks, window, hop):
    """Spans, grids and probabilities ``[C]`` of pieces and windows."""
    rate, piece = tagger.hparams.sample_rate, tagger.max_samples
    grids = [(piece, piece), (round(window * rate), hop * rate)]
    for start, end, members, wav in _cut_windows(blocks, grids):
        if end > start:
            probs = tagger.tag_batch(torch.from_numpy(wav).unsqueeze(0))
            yield start, end, members, probs[0]


class _Pending:
    """Windows whose probabilities may still rise, and what is known of them.

    No class is more probable in a window than in the pieces that overlap it,
    see ``Timeline``. Of these, the last one ends with the stream: it overlaps a
    window unless the stream goes on for the length of a piece.
    """

    def __init__(self, tracker, piece, rate):
        self.tracker, self.piece, self.rate = tracker, piece, rate
        self.windows = []  # start, end, probabilities and limits so far [C]
        self.pieces = []  # start, end and probabilities, if windows may come
        self.passed = np.zeros(len(tracker.low), int)  # windows of each class
        self.position = 0  # samples of the stream, at least

    def add(self, start, end, members, probs):
        """Adds a piece or a window, or both, in the order of their starts."""
        is_piece, is_window = members
        self.position = max(self.position, end)
        # Windows to come start here or later
        first = min(start, self.position - (end - start))
        self.pieces = [piece for piece in self.pieces if piece[1] > first]
        if is_piece:
            self.pieces.append((start, end, probs))
            for begin, stop, _, limits in self.windows:
                if start < stop and begin < end:
                    np.maximum(limits, probs, out=limits)
        if is_window:
            limits = probs.copy() if is_piece else np.zeros_like(probs)
            for begin, stop, piece in self.pieces:
                if begin < end and start < stop:
                    np.maximum(limits, piece, out=limits)
            self.windows.append((start, end, probs, limits))

    def settle(self, position):
        """Passes what is final at a position to the tracker; returns events."""
        found = []
        for number, (start, end, probs, limits) in enumerate(self.windows):
            final = (probs <= limits) | (end + self.piece <= position)
            classes = np.flatnonzero(final & (self.passed == number))
            if len(classes):
                time = (start + end) / 2 / self.rate
                p = np.minimum(probs, limits)[classes]
                found += self.tracker.update(time, p, classes)
                self.passed[classes] += 1
        done = self.passed.min()
        self.passed -= done
        del self.windows[:done]
        return found

    @property
    def reached(self):
        """Whether each class ``[C]`` is in an event that is certain."""
        reached = self.tracker.reached
        for number, (*_, probs, limits) in enumerate(self.windows):
            p = np.minimum(probs, limits)
            reached |= (p >= self.tracker.high) & (self.passed <= number)
        return reached

    def finish(self):
        """Ends the stream here; returns the remaining events."""
        events = self.settle(math.inf)
        return events + self.tracker.finish(self.position / self.rate)
