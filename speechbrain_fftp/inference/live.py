"""Events in a stream of audio, as they begin and end.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np

from speechbrain_fftp.inference.events import (
    Event,
    Hysteresis,
    check_thresholds,
)
from speechbrain_fftp.inference.windows import WindowCutter

STEP_HOP = 0.5  # default hop in seconds of a model that takes each frame once


def stream_events(
    tagger, blocks, window=None, hop=None, threshold=0.5, low=None
):
    """Finds events in a stream of audio, as they begin and end.

    Yields each ``Event`` of ``AudioTagger.tag_long`` for the same audio twice:
    when it has begun, with an estimate of its start and the end None; and when
    it has ended. Both are known with the first window that reaches the
    threshold, or is below low. Memory does not grow with the length of the
    stream.

    Without ``window``, an AuM with ``bidirectional=False`` takes each frame
    once, with ``AuM.step``; the default ``hop`` is then 0.5 s. Probabilities
    are those of all that was heard so far, as far as the model remembers it.

    Arguments
    ---------
    tagger : AudioTagger
    blocks : iterable of numpy.ndarray
        Consecutive float32 samples ``[S]`` at the model's sampling rate, of any
        size. They are taken only when the model is ready.
    window, hop, threshold, low : float, optional
        See ``AudioTagger.tag_long``.

    Yields
    ------
    Event

    Raises
    ------
    ValueError
        If an argument is out of range, or the model returns NaN.
    """
    threshold, low = check_thresholds(threshold, tagger.thresholds, low)
    takes_frames = window is None and getattr(tagger.engine, "can_step", False)
    if takes_frames:
        hop = STEP_HOP if hop is None else hop
    elif tagger.has_frames and window is None and hop is None:
        raise ValueError(
            "This model classifies time steps, of which there is no stream: "
            "give the length of windows, such as 1.0."
        )
    window, hop = tagger.check_window(window, hop)
    if takes_frames:
        window = 0.0
        rows = tagger.engine.step(blocks, hop)
    else:
        rows = window_probabilities(tagger, blocks, window, hop)
    tracker = Hysteresis(threshold, low, len(tagger.labels), window)
    begun = set()
    end = 0.0
    for time, end, probs in rows:
        if np.isnan(probs).any():
            raise ValueError(
                "The model returns NaN: its weights are damaged, train it again."
            )
        for event in tracker.update(time, probs):
            yield from notices(event, tagger.labels, begun)
        for number in np.flatnonzero(tracker.reached):
            if number not in begun:
                begun.add(number)
                start, _, _, peak = tracker.event(number, np.nan, end)
                yield Event(start, None, tagger.labels[number], peak)
    for event in tracker.finish(end):
        yield from notices(event, tagger.labels, begun)


def notices(event, labels, begun):
    """Yields the end of an event, and its beginning if that is new."""
    start, end, number, peak = event
    if number not in begun:
        yield Event(start, None, labels[number], peak)
    begun.discard(number)
    yield Event(start, end, labels[number], peak)


def window_probabilities(tagger, blocks, window, hop):
    """Yields centre and end in seconds, and probabilities, of windows."""
    rate = tagger.sample_rate
    cutter = WindowCutter(round(window * rate), hop * rate)

    def tag(start, wav):
        """The row of a window."""
        probs = tagger.engine.probabilities(wav[None])[0]
        end = start + len(wav)
        return (start + end) / (2 * rate), end / rate, probs

    for block in blocks:
        for start, wav in cutter.push(block):
            yield tag(start, wav)
    start, wav = cutter.finish()
    if len(wav):
        yield tag(start, wav)
