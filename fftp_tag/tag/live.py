"""Finds events in a stream of audio, as they begin and end.

Authors
 * The speechbrain_fftp authors 2026
"""

from collections.abc import Iterable, Iterator

import numpy as np

from fftp_tag.audio.decode import MIN_SECONDS
from fftp_tag.audio.pieces import Pieces, slide
from fftp_tag.errors import InputError
from fftp_tag.model.info import ModelInfo
from fftp_tag.tag.events import (
    Event,
    EventFinder,
    Numbers,
    Prediction,
    between_middles,
)
from fftp_tag.tag.tagger import AudioTagger

# Seconds, for a frame-level model: from one run to the next, by default; what it
# hears before the first new prediction; and what it hears after a prediction
# before that is used, since few samples of a sound do not tell what it is. Longer
# ones cost more, as benchmarks/listen.py shows
HOP = 1.0
BEFORE = 1.0
AHEAD = 1.0


def stream_events(
    tagger: AudioTagger,
    blocks: Iterable[np.ndarray],
    window: float | None = None,
    hop: float | None = None,
    threshold: Numbers | None = None,
    merge_gap: Numbers | None = None,
    min_duration: Numbers | None = None,
) -> Iterator[Event]:
    """Finds events in a stream of audio, as they begin and end.

    Yields each ``Event`` twice: with ``end`` None once it has lasted
    ``min_duration``, and again once ``merge_gap`` has passed after its end.
    Memory does not grow with the length of the stream.

    A model of clips tags windows and finds the same events as
    ``AudioTagger.tag_long``, and those of classes that are no tags of the whole
    recording, which a stream cannot know. A frame-level model runs every
    ``hop`` on the last samples: those since the last run, 1 s after which
    predictions are used, and 1 s before; or on as many as its maximum clip
    length allows.

    Arguments
    ---------
    tagger : AudioTagger
    blocks : iterable of numpy.ndarray
        Consecutive float32 samples ``[S]`` at the model's sampling rate, of any
        size. The next block is requested when the model is ready.
    window, hop : float, optional
        For a model of clips, see ``AudioTagger.analyze``. For a frame-level
        model, ``hop`` is 1 s by default, and ``window`` must be None.
    threshold, merge_gap, min_duration : float, optional
        See ``Rules``; by default, the model's rules apply.

    Raises
    ------
    InputError
        If an argument does not suit the model.
    """
    rules = tagger.model.rules.replace(threshold, merge_gap, min_duration)
    if tagger.model.is_frame_level:
        if window is not None:
            raise InputError(
                "This is a frame-level model and needs no windows: leave "
                "--window out."
            )
        predictions = hear_predictions(tagger, blocks, hop)
    else:
        predictions = hear_windows(
            tagger, blocks, *tagger.check_window(window, hop)
        )
    steps = between_middles(predictions)
    yield from EventFinder(tagger.labels, rules).find(steps, ongoing=True)


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
    hop: float | None = None,
) -> Iterator[Prediction]:
    """Yields the predictions of a frame-level model; all in seconds."""
    model = tagger.model
    rate, longest = model.sample_rate, tagger.max_seconds
    span, frame = model.span_samples / rate, model.frame_samples / rate
    hop = HOP if hop is None else hop
    if not frame <= hop <= longest:
        raise InputError(
            f"--hop {hop:g} must be in {frame:g}..{longest:g} seconds: at least "
            "one frame, at most the model's maximum clip length."
        )
    least = span + model.hop_samples / rate  # of which a prediction is in step
    ahead = min(AHEAD, max(longest - least - hop, 0.0))
    heard = min(max(BEFORE, least) + hop + ahead, longest)
    pieces = last_samples(
        model.info, blocks, round(heard * rate), round(hop * rate)
    )
    for found in tagger.join(
        ["frame_probabilities"], pieces, (span / 2 + ahead) * rate
    ):
        yield from found.each(rate)


def last_samples(
    info: ModelInfo, blocks: Iterable[np.ndarray], size: int, hop: int
) -> Iterator[Pieces]:
    """Yields the last ``size`` samples so far, every ``hop`` and at the end."""
    held = np.zeros(0, np.float32)  # samples that are still needed
    begin = 0  # position of the first held sample

    def piece(end: int) -> Pieces:
        """The last samples before ``end``."""
        start = info.piece_start(max(end - size, begin), end)
        wav = held[start - begin : end - begin]
        return Pieces(np.array([start]), wav[None])

    due = hop  # position at which the model runs next
    for block in blocks:
        held = np.concatenate([held, block])
        end = begin + len(held)
        while due <= end:
            yield piece(due)
            due += hop
        begin = max(end - size, begin)
        held = held[begin - end :]
    end = begin + len(held)
    if end % hop and end >= MIN_SECONDS * info.sample_rate:
        yield piece(end)
