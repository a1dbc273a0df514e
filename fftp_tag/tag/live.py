"""Finds events in a stream of audio, as they begin and end.

Authors
 * The speechbrain_fftp authors 2026
"""

import math
from typing import Iterable, Iterator, Optional, Set

import numpy as np

from fftp_tag.tag.events import (
    Event,
    EventFinder,
    Numbers,
    Prediction,
    between_middles,
)
from fftp_tag.tag.tagger import AudioTagger
from fftp_tag.tag.windows import slide
from speechbrain_fftp.dataio.audio import MIN_SECONDS
from speechbrain_fftp.dataio.errors import InputError

HOP = 0.25  # default seconds between two runs of a frame-level model
# Seconds of audio after a prediction before it is used: its probabilities are
# less accurate when a sound has just begun
LOOK_AHEAD = 0.3


def stream_events(
    tagger: AudioTagger,
    blocks: Iterable[np.ndarray],
    window: Optional[float] = None,
    hop: Optional[float] = None,
    threshold: Optional[Numbers] = None,
    merge_gap: Optional[Numbers] = None,
    min_duration: Optional[Numbers] = None,
    context: Optional[float] = None,
) -> Iterator[Event]:
    """Finds events in a stream of audio, as they begin and end.

    Yields each ``Event`` twice: with ``end`` None once it has lasted
    ``min_duration``, and again once ``merge_gap`` has passed after its end.
    Memory does not grow with the length of the stream.

    A model of clips tags windows and finds the same events as
    ``AudioTagger.tag_long``, and those of classes that are no tags of the whole
    recording, which a stream cannot know. A frame-level model runs on the
    last ``context`` seconds every ``hop``; a prediction is used once 0.3 s have
    followed it.

    Arguments
    ---------
    tagger : AudioTagger
    blocks : iterable of numpy.ndarray
        Consecutive float32 samples ``[S]`` at the model's sampling rate, of any
        size. The next block is requested when the model is ready.
    window, hop : float, optional
        For a model of clips, see ``AudioTagger.analyze``. For a frame-level
        model, ``hop`` is 0.25 s by default, and ``window`` must be None.
    threshold, merge_gap, min_duration : float, optional
        See ``Rules``; by default, the model's rules apply.
    context : float, optional
        For a frame-level model, the seconds of audio in each run; by default
        its maximum clip length.

    Raises
    ------
    InputError
        If an argument does not suit the model.
    """
    rules = tagger.model.rules.replace(threshold, merge_gap, min_duration)
    if tagger.model.is_frame_level:
        if window is not None:
            raise InputError(
                "This is a frame-level model: give --context instead of "
                "--window."
            )
        predictions = hear_predictions(tagger, blocks, context, hop)
    else:
        if context is not None:
            raise InputError(
                "This model tags windows: give --window instead of --context."
            )
        predictions = hear_windows(
            tagger, blocks, *tagger.check_window(window, hop)
        )
    finder = EventFinder(tagger.labels, rules)
    begun: Set[str] = set()
    for start, end, probs in between_middles(predictions):
        for event in finder.update(start, end, probs):
            begun.discard(event.label)
            yield event
        for event in finder.going_on().values():
            if event.label not in begun:
                begun.add(event.label)
                yield event
    yield from finder.finish()


def hear_windows(
    tagger: AudioTagger, blocks: Iterable[np.ndarray], size: int, hop: int
) -> Iterator[Prediction]:
    """Tags windows; ``size`` and ``hop`` are in samples."""
    rate = tagger.sample_rate
    for start, wav in slide(blocks, size, hop):
        if len(wav) >= MIN_SECONDS * rate:
            end = start + len(wav)
            probs = tagger.model.probabilities(wav[None])[0]
            yield Prediction((start + end) / (2 * rate), end / rate, probs)


def hear_predictions(
    tagger: AudioTagger,
    blocks: Iterable[np.ndarray],
    context: Optional[float],
    hop: Optional[float],
) -> Iterator[Prediction]:
    """Yields each prediction once 0.3 s have followed it."""
    model = tagger.model
    rate, size = model.sample_rate, model.hop_samples
    context = tagger.max_seconds if context is None else context
    hop = HOP if hop is None else hop
    late = math.ceil(LOOK_AHEAD * rate / size)
    low = hop + (2 * late * size + model.span_samples) / rate
    if not hop >= size / rate:
        raise InputError(
            f"--hop {hop:g} is below a prediction, {size / rate:g} s."
        )
    if not low <= context <= tagger.max_seconds:
        raise InputError(
            f"--context {context:g} must be in {low:g}..{tagger.max_seconds:g} "
            f"seconds with --hop {hop:g}."
        )
    held = np.zeros(0, np.float32)  # samples that are still needed
    begin = 0  # position of the first held sample, a multiple of ``size``
    done = 0  # number of predictions that were yielded

    def hear(end: int, late: int) -> Iterator[Prediction]:
        """Yields new predictions before ``end``, except the last ones."""
        nonlocal held, begin, done
        n_old = math.ceil(max(end - begin - context * rate, 0) / size)
        begin += n_old * size
        held = held[n_old * size :]
        wav = held[: end - begin]
        if len(wav) < MIN_SECONDS * rate:
            return
        (probs,) = model.run(["frame_probabilities"], wav[None])
        first = begin // size
        for n in range(done, first + probs.shape[1] - late):
            yield Prediction(
                model.frame_level_time(n), end / rate, probs[0, n - first]
            )
            done = n + 1

    due = round(hop * rate)  # position at which the model runs next
    for block in blocks:
        held = np.concatenate([held, block])
        while due <= begin + len(held):
            yield from hear(due, late)
            due += round(hop * rate)
    yield from hear(begin + len(held), 0)
