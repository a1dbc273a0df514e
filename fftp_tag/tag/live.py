"""Finds events in a stream of audio, as they begin and end.

Authors
 * The speechbrain_fftp authors 2026
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from fftp_tag.audio.decode import MIN_SECONDS
from fftp_tag.audio.pieces import (
    Batch,
    Pieces,
    Slide,
    Stage,
    mono_waveform,
    through,
)
from fftp_tag.errors import InputError
from fftp_tag.model.info import ModelInfo, Rules
from fftp_tag.model.session import Model
from fftp_tag.tag.events import Event, EventFinder
from fftp_tag.tag.predictions import Join, Middles, TagWindows

if TYPE_CHECKING:
    from fftp_tag.tag.tagger import AudioTagger

# Seconds, for a frame-level model: from one run to the next, by default; what it
# hears before the first new prediction; and what it hears after a prediction
# before that is used, since few samples of a sound do not tell what it is. Longer
# ones cost more, as benchmarks/listen.py shows
HOP = 1.0
BEFORE = 1.0
AHEAD = 1.0


class Stream:
    """Finds events in a stream of audio; ``AudioTagger.stream`` makes one.

    Each ``Event`` is returned twice: with ``end`` None once it has lasted
    ``min_duration``, and again once ``merge_gap`` has passed after its end.
    Events do not depend on how the samples are divided. Memory does not grow
    with the length of the stream.

    A model of clips tags windows, by default one every quarter of a window, and
    finds the same events as ``AudioTagger.tag_long`` with these, and those of
    classes that are no tags of the whole recording, which a stream cannot know. A frame-level model runs every
    ``hop`` on the last samples: those since the last run, 1 s after which
    predictions are used, and 1 s before; or on as many as its maximum clip
    length allows.

    Example
    -------
    >>> from fftp_tag import AudioTagger
    >>> tagger = AudioTagger.from_pretrained("starter")
    >>> stream = tagger.stream(labels=["Dog"])
    >>> stream.push(np.zeros(4000, np.float32)), stream.finish()
    ([], [])
    """

    def __init__(
        self,
        tagger: "AudioTagger",
        rules: Rules,
        window: float | None = None,
        hop: float | None = None,
    ):
        model = tagger.model
        if model.is_frame_level:
            if window is not None:
                raise InputError(
                    "This is a frame-level model and needs no windows: leave "
                    "--window out."
                )
            predict = hear_last_samples(model, HOP if hop is None else hop)
        else:
            framing = tagger.check_window(window, hop)
            if hop is None:  # windows overlap, so that events are known soon
                quarter = max(round(framing.size / 4), model.frame_samples)
                framing = framing._replace(hop=quarter)
            predict = [Slide(*framing), Batch(1), TagWindows(model)]
        self.stages: list[Stage] = [
            *predict,
            Middles(model.sample_rate),
            EventFinder(model.labels, rules, ongoing=True),
        ]

    def push(self, samples: np.ndarray) -> list[Event]:
        """Returns the events that have begun or ended.

        Arguments
        ---------
        samples : numpy.ndarray
            The next samples ``[S]``, any number of them, at the sampling rate
            of the model: floating-point ones in -1..1, or 16-bit integers.
        """
        return self.run([mono_waveform(samples)], is_end=False)

    def finish(self) -> list[Event]:
        """Returns the events that end with the stream, after its last samples."""
        return self.run([], is_end=True)

    def run(self, items: Iterable[Any], is_end: bool) -> list[Event]:
        """Passes samples through all stages."""
        return list(through(items, *self.stages, is_end=is_end))


def hear_last_samples(model: Model, hop: float) -> list[Stage]:
    """The stages that run a frame-level model every ``hop`` seconds."""
    rate = model.sample_rate
    longest, frame = model.max_samples / rate, model.frame_samples / rate
    span = model.span_samples / rate
    if not frame <= hop <= longest:
        raise InputError(
            f"--hop {hop:g} must be in {frame:g}..{longest:g} seconds: at least "
            "one frame, at most the model's maximum clip length."
        )
    least = span + model.hop_samples / rate  # of which a prediction is in step
    ahead = min(AHEAD, max(longest - least - hop, 0.0))
    heard = min(max(BEFORE, least) + hop + ahead, longest)
    return [
        LastSamples(model.info, round(heard * rate), round(hop * rate)),
        Join(model, ["frame_probabilities"], (span / 2 + ahead) * rate),
    ]


class LastSamples:
    """Cuts out the last ``size`` samples so far, every ``hop`` and at the end."""

    def __init__(self, info: ModelInfo, size: int, hop: int):
        self.info, self.size, self.hop = info, size, hop
        self.held = np.zeros(0, np.float32)  # samples that are still needed
        self.begin = 0  # position of the first held sample
        self.due = hop  # position at which the model runs next

    def piece(self, end: int) -> Pieces:
        """The last samples before ``end``."""
        first = max(end - self.size, self.begin)
        start = self.info.piece_start(first, end)
        wav = self.held[start - self.begin : end - self.begin]
        return Pieces(np.array([start]), wav[None])

    def push(self, block: np.ndarray) -> Iterator[Pieces]:
        """Yields the pieces that end in a block."""
        self.held = np.concatenate([self.held, block])
        end = self.begin + len(self.held)
        while self.due <= end:
            yield self.piece(self.due)
            self.due += self.hop
        self.begin = max(end - self.size, self.begin)
        self.held = self.held[self.begin - end :]

    def finish(self) -> Iterator[Pieces]:
        """Yields the piece at the end."""
        end = self.begin + len(self.held)
        if end % self.hop and end >= MIN_SECONDS * self.info.sample_rate:
            yield self.piece(end)
