"""Events in a stream of audio, as they begin and end.

Authors
 * The speechbrain_fftp authors 2026
"""

import math
from typing import Iterable, Iterator, NamedTuple, Optional, Set, Tuple

import numpy as np

from fftp_tag.events import Event, EventFinder, Numbers
from fftp_tag.tagger import AudioTagger
from fftp_tag.windows import WindowCutter
from speechbrain_fftp.dataio.audio import MIN_SECONDS
from speechbrain_fftp.dataio.errors import InputError

HOP = 0.25  # seconds between two calls of a model of time steps, by default
# Seconds after a time step that the model hears before the step counts: a
# sound that has just begun is less certain
LOOK_AHEAD = 0.3


class Step(NamedTuple):
    """A window or a time step of a stream."""

    centre: float  # in seconds
    end: float  # of the audio so far, in seconds
    probs: np.ndarray  # [C]


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

    Yields each ``Event`` twice: with the end None once it has lasted
    ``min_duration``; and when it is over, which is known after ``merge_gap``.
    Memory does not grow with the length of the stream.

    A model of clips tags windows; events are those of ``AudioTagger.tag_long``.
    A model of time steps hears the last ``context`` seconds every ``hop``; a
    step counts as soon as 0.3 s after it are heard.

    Arguments
    ---------
    tagger : AudioTagger
    blocks : iterable of numpy.ndarray
        Consecutive float32 samples ``[S]`` at the model's sampling rate, of any
        size. They are taken only when the model is ready.
    window, hop : float, optional
        Of a model of clips: see ``AudioTagger.analyze``. Of a model of time
        steps: ``hop`` is 0.25 s by default, and there are no windows.
    threshold, merge_gap, min_duration : float, optional
        See ``Rules``; by default those of the model.
    context : float, optional
        Of a model of time steps: seconds that it hears at a time, by default
        its maximum clip length.

    Raises
    ------
    InputError
        If an argument does not suit the model.
    """
    rules = tagger.model.rules.replace(threshold, merge_gap, min_duration)
    if tagger.model.has_steps:
        if window is not None:
            raise InputError(
                "This model classifies time steps: give context and not window."
            )
        steps = hear_steps(tagger, blocks, context, hop)
    else:
        if context is not None:
            raise InputError(
                "This model tags windows: give window and not context."
            )
        steps = hear_windows(tagger, blocks, *tagger.check_window(window, hop))
    finder = EventFinder(tagger.labels, rules)
    begun: Set[str] = set()
    for start, end, probs in between_middles(steps):
        for event in finder.update(start, end, probs):
            begun.discard(event.label)
            yield event
        for event in finder.going_on().values():
            if event.label not in begun:
                begun.add(event.label)
                yield event
    yield from finder.finish()


def between_middles(
    steps: Iterable[Step],
) -> Iterator[Tuple[float, float, np.ndarray]]:
    """Yields the start, the end and the probabilities of steps.

    The edges are the middles between centres: a step is known with the next.
    """
    start, last = 0.0, None
    for step in steps:
        if last is not None:
            middle = (last.centre + step.centre) / 2
            yield start, middle, last.probs
            start = middle
        last = step
    if last is not None:
        yield start, last.end, last.probs


def hear_windows(
    tagger: AudioTagger, blocks: Iterable[np.ndarray], size: int, hop: int
) -> Iterator[Step]:
    """Yields windows, of a length and a hop in samples."""
    rate = tagger.sample_rate
    cutter = WindowCutter(size, hop)

    def tag(start: int, wav: np.ndarray) -> Step:
        """Tags the samples that begin at a position."""
        end = start + len(wav)
        probs = tagger.model.probabilities(wav[None])[0]
        return Step((start + end) / (2 * rate), end / rate, probs)

    for block in blocks:
        for start, wav in cutter.push(block):
            yield tag(start, wav)
    start, wav = cutter.finish()
    if len(wav) >= MIN_SECONDS * rate:
        yield tag(start, wav)


def hear_steps(
    tagger: AudioTagger,
    blocks: Iterable[np.ndarray],
    context: Optional[float],
    hop: Optional[float],
) -> Iterator[Step]:
    """Yields the time steps that count, see ``stream_events``."""
    model = tagger.model
    rate, size = model.sample_rate, model.step_samples
    context = tagger.max_seconds if context is None else context
    hop = HOP if hop is None else hop
    late = math.ceil(LOOK_AHEAD * rate / size)
    low = hop + (2 * late * size + model.min_samples) / rate
    if not hop >= size / rate:
        raise InputError(f"hop={hop:g} is less than a step, {size / rate:g} s.")
    if not low <= context <= tagger.max_seconds:
        raise InputError(
            f"context={context:g} must be in {low:g}..{tagger.max_seconds:g} "
            f"seconds with hop={hop:g}."
        )
    held = np.zeros(0, np.float32)  # samples that may be needed
    begin = 0  # position of the first of them, a whole number of steps
    done = 0  # number of steps that were yielded

    def hear(end: int, late: int) -> Iterator[Step]:
        """Yields new steps up to a position, without the last ones."""
        nonlocal held, begin, done
        n_old = math.ceil(max(end - begin - context * rate, 0) / size)
        begin += n_old * size
        held = held[n_old * size :]
        wav = held[: end - begin]
        if len(wav) < MIN_SECONDS * rate:
            return
        _, probs = model.step_probabilities(wav[None])
        first = begin // size
        for n in range(done, first + probs.shape[1] - late):
            centre = model.first_seconds + size / rate * n
            yield Step(centre, end / rate, probs[0, n - first])
            done = n + 1

    due = round(hop * rate)  # position at which the model hears again
    for block in blocks:
        held = np.concatenate([held, block])
        while due <= begin + len(held):
            yield from hear(due, late)
            due += round(hop * rate)
    yield from hear(begin + len(held), 0)
