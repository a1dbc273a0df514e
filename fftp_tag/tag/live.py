"""Finds events in a stream of audio, as they begin and end.

Authors
 * The speechbrain_fftp authors 2026
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

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
from fftp_tag.model.info import FrameLevel, Framing, ModelInfo, Rules
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
PAGE_HOP = 0.5  # of a page, in which people watch


class Stream:
    """Finds events in a stream of audio; ``AudioTagger.stream`` makes one.

    Each ``Event`` is returned twice: with ``end`` None once it has lasted
    ``min_duration``, and again once ``merge_gap`` has passed after its end.
    Events do not depend on how the samples are divided. Memory does not grow
    with the length of the stream.

    A model of clips tags windows, by default one every quarter of a window, and
    finds the same events as ``AudioTagger.tag_long`` with these, and those of
    classes that are no tags of the whole recording, which a stream cannot know. A
    frame-level model runs every ``hop`` on the last samples: those since the last run, 1 s after which
    predictions are used, and 1 s before; or on as many as its maximum clip
    length allows. If it has a look-ahead of at most 1 s, it runs on new samples
    alone, and its predictions are those of the whole recording.

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
            looks = choose_looks(model.info, HOP if hop is None else hop)
            predict = look(model, looks)
        else:
            framing = tagger.check_window(window, hop)
            if hop is None:
                framing = overlapping(framing, model.info)
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


def overlapping(windows: Framing, info: ModelInfo) -> Framing:
    """Windows of which one begins every quarter, so that events are known soon."""
    return Framing(
        windows.size, max(round(windows.size / 4), info.frame_samples)
    )


def page_looks(info: ModelInfo) -> dict[str, Any]:
    """When the model of a page runs on the microphone, and on which samples."""
    if info.frame_level is None:
        return overlapping(info.windows(), info)._asdict()
    longest = info.max_samples / info.sample_rate
    return choose_looks(info, min(PAGE_HOP, longest))._asdict()


class Looks(NamedTuple):
    """When a model runs on a stream, and on which samples.

    It runs every ``hop``, on the samples since its last run and ``before`` more.
    Predictions are used whose centres are ``margin`` before the end.
    """

    before: int
    hop: int
    margin: float
    has_state: bool


def choose_looks(info: ModelInfo, hop: float) -> Looks:
    """The looks of a frame-level model every ``hop`` seconds."""
    rate, frame_level = info.sample_rate, info.frame_level
    assert frame_level is not None
    longest, frame = info.max_samples / rate, info.frame_samples / rate
    if not frame <= hop <= longest:
        raise InputError(
            f"--hop {hop:g} must be in {frame:g}..{longest:g} seconds: at least "
            "one frame, at most the model's maximum clip length."
        )
    if frame_level.look_ahead_samples <= AHEAD * rate:
        return looks_with_state(frame_level, round(hop * rate))
    span = frame_level.span_samples / rate
    least = span + frame_level.hop_samples / rate  # a prediction in step
    ahead = min(AHEAD, max(longest - least - hop, 0.0))
    before = min(max(BEFORE, least) + ahead, longest - hop)
    return Looks(
        round(before * rate),
        round(hop * rate),
        (span / 2 + ahead) * rate,
        has_state=False,
    )


def looks_with_state(frame_level: FrameLevel, hop: int) -> Looks:
    """Looks by which each prediction is what it is in the whole recording."""
    span, ahead = frame_level.span_samples, frame_level.look_ahead_samples
    return Looks(round(span + ahead - 1), hop, span / 2 + ahead, has_state=True)


def look(model: Model, looks: Looks) -> list[Stage]:
    """The stages that run a frame-level model."""
    return [
        LastSamples(model.info, looks.before, looks.hop),
        Join(
            model.continued() if looks.has_state else model,
            ["frame_probabilities"],
            looks.margin,
        ),
    ]


class LastSamples:
    """Cuts out the samples since the last piece, and those before, every ``hop``
    and at the end.

    Arguments
    ---------
    info : ModelInfo
    before, hop : int
        Number of samples before the end of the last piece, and after it.
    """

    def __init__(self, info: ModelInfo, before: int, hop: int):
        assert info.frame_level is not None
        self.step = info.frame_level.hop_samples
        self.span = info.frame_level.span_samples
        self.shortest = MIN_SECONDS * info.sample_rate
        self.before, self.hop = before, hop
        self.held = np.zeros(0, np.float32)  # samples that are still needed
        self.begin = 0  # position of the first held sample
        self.last = 0  # end of the last piece
        self.due = -(-self.span // hop) * hop  # end of the next piece

    def cut(self, end: int) -> Iterator[Pieces]:
        """Yields the piece that ends at a position, unless nothing is new."""
        # Predictions are in step in all pieces
        begin = max(-(-(self.last - self.before) // self.step) * self.step, 0)
        if begin and end - begin < self.span:
            return
        self.held = self.held[begin - self.begin :]
        self.begin, self.last = begin, end
        yield Pieces(np.array([begin]), self.held[None, : end - begin])

    def push(self, block: np.ndarray) -> Iterator[Pieces]:
        """Yields the pieces that end in a block."""
        self.held = np.concatenate([self.held, block])
        end = self.begin + len(self.held)
        while self.due <= end:
            yield from self.cut(self.due)
            self.due += self.hop

    def finish(self) -> Iterator[Pieces]:
        """Yields the piece at the end."""
        end = self.begin + len(self.held)
        if end > self.last and end >= self.shortest:
            yield from self.cut(end)
