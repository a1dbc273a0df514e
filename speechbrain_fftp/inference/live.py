"""Events in a stream of audio, as they begin and end.

Authors
 * The speechbrain_fftp authors 2026
"""

import math
from typing import Iterable, Iterator, Optional

import numpy as np

from speechbrain_fftp.inference.events import (
    Event,
    Hysteresis,
    average_size,
    check_thresholds,
    moving_average,
    rise_seconds,
)
from speechbrain_fftp.inference.tagger import AudioTagger
from speechbrain_fftp.inference.windows import WindowCutter

CONTEXT_HOP = 0.25  # default hop in seconds of a model of time steps
# Seconds after a time step that the model hears before the step counts: a
# sound that has just begun is less certain
LOOK_AHEAD = 0.3


def stream_events(
    tagger: AudioTagger,
    blocks: Iterable[np.ndarray],
    window: Optional[float] = None,
    hop: Optional[float] = None,
    threshold=0.5,
    low: Optional[float] = None,
    context: Optional[float] = None,
) -> Iterator[Event]:
    """Finds events in a stream of audio, as they begin and end.

    Yields each ``Event`` twice: when it has begun, with an estimate of its start
    and the end None; and when it has ended. Memory does not grow with the length
    of the stream.

    A model that classifies time steps encodes the last ``context`` seconds
    every ``hop``; a step counts as soon as 0.3 s after it are heard, or half of
    the moving average if that is longer. Other models tag windows, and an event
    is known with the first one that reaches the threshold, or is below low: the
    events are those of ``AudioTagger.tag_long``.

    Arguments
    ---------
    tagger : AudioTagger
    blocks : iterable of numpy.ndarray
        Consecutive float32 samples ``[S]`` at the model's sampling rate, of any
        size. They are taken only when the model is ready.
    window, hop, threshold, low : float, optional
        See ``AudioTagger.tag_long``. A model that classifies time steps tags
        windows if ``window`` is given; without, ``hop`` is 0.25 s by default.
    context : float, optional
        Seconds that a model hears at a time if it classifies time steps, by
        default its maximum clip length.

    Yields
    ------
    Event

    Raises
    ------
    ValueError
        If an argument is out of range, or the model returns NaN.
    """
    threshold, low = check_thresholds(threshold, tagger.thresholds, low)
    engine = tagger.engine
    if context is not None and (window is not None or not tagger.has_frames):
        raise ValueError(
            "context is for models that classify time steps, without windows."
        )
    if window is not None or not tagger.has_frames:
        window, hop = tagger.check_window(window, hop)
        rows = window_probabilities(tagger, blocks, window, hop)
    else:
        context, hop = tagger.check_window(
            context or tagger.max_window, hop or CONTEXT_HOP
        )
        step = engine.step_samples / engine.sample_rate
        size = average_size(engine.mean_seconds, step)
        window = rise_seconds(size, step)
        rows = step_probabilities(engine, blocks, context, hop, size)
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


def step_probabilities(engine, blocks, context, hop, size):
    """Yields centre and end in seconds, and probabilities, of time steps.

    Every ``hop`` seconds, the last ``context`` seconds are encoded and the
    probabilities averaged over ``size`` steps. The steps that count by then
    follow those of the time before.
    """
    rate, step = engine.sample_rate, engine.step_samples
    hop = round(hop * rate)
    keep = round(context * rate)
    late = max(size // 2, math.ceil(LOOK_AHEAD * rate / step))
    if keep < hop + 2 * late * step + engine.min_samples:
        raise ValueError(
            f"context={context:g} is too short for hop={hop / rate:g}: the "
            f"model needs {2 * late * step / rate:g} seconds and a patch more."
        )
    held = np.zeros(0, np.float32)  # samples of the context
    begin = 0  # position of the first of them, a whole number of steps
    needed = hop  # samples until the model is called again
    done = 0  # number of steps that were yielded

    def new_steps(n_late):
        """Rows of the steps that count, without the last ones."""
        nonlocal done
        _, probs = engine.frame_probabilities(held[None])
        probs = moving_average(probs[0], size)
        first = begin // step
        times = begin / rate + engine.step_times(len(held))
        end = (begin + len(held)) / rate
        last = first + min(len(probs), len(times)) - n_late
        for number in range(max(done, first), last):
            yield times[number - first], end, probs[number - first]
        done = max(done, last)

    for block in blocks:
        while len(block):
            held = np.concatenate([held, block[:needed]])
            taken = min(needed, len(block))
            block = block[taken:]
            needed -= taken
            if needed > 0:
                continue
            needed = hop
            dropped = -(min(keep - len(held), 0) // step) * step
            held = held[dropped:]
            begin += dropped
            if len(held) >= engine.min_samples:
                yield from new_steps(late)
    if len(held):
        yield from new_steps(0)
