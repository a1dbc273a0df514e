"""Finds events in a stream of audio, as they begin and end.

Authors
 * The speechbrain_fftp authors 2026
"""

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
from fftp_tag.tag.windows import Windows, slide
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
    followed it, or as much as the context holds.

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
    """Yields the predictions of a frame-level model; all in seconds."""
    model = tagger.model
    rate, longest = model.sample_rate, tagger.max_seconds
    span, frame = model.span_samples / rate, model.frame_samples / rate
    context = longest if context is None else context
    hop = HOP if hop is None else hop
    if not frame <= hop <= longest:
        raise InputError(
            f"--hop {hop:g} must be in {frame:g}..{longest:g} seconds: at least "
            "one frame, at most the model's maximum clip length."
        )
    low = min(span + LOOK_AHEAD + hop, longest)
    if not low <= context <= longest:
        raise InputError(
            f"--context {context:g} must be in {low:g}..{longest:g} "
            f"seconds with --hop {hop:g}."
        )
    ahead = min(LOOK_AHEAD, max(context - span - hop, 0.0))
    sizes = round(context * rate), round(hop * rate)
    pieces = last_samples(blocks, *sizes, least=round(MIN_SECONDS * rate))
    for chunk in tagger.join(
        ["frame_probabilities"], pieces, (span / 2 + ahead) * rate
    ):
        for centre, probs in zip(chunk.times.tolist(), chunk.rows):
            yield Prediction(centre, chunk.end / rate, probs)


def last_samples(
    blocks: Iterable[np.ndarray], size: int, hop: int, least: int
) -> Iterator[Windows]:
    """Yields the last ``size`` samples so far: every ``hop``, and at the end.

    Nothing, if there are fewer than ``least``.
    """
    held = np.zeros(0, np.float32)  # samples that are still needed
    end = 0  # of them
    due = hop
    for block in blocks:
        held = np.concatenate([held, block])
        end += len(block)
        while due <= end:
            wav = held[: len(held) - (end - due)][-size:]
            yield Windows(np.array([due - len(wav)]), wav[None])
            due += hop
        held = held[-size:]
    if end % hop and end >= least:
        yield Windows(np.array([end - len(held)]), held[None])
