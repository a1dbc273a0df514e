"""Candidates in recordings: events, and peaks below the threshold.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fftp_tag.parallel import in_order
from fftp_tag.search.tagging import IndexTagger
from fftp_tag.tag.events import Event, Timeline
from fftp_tag.tag.tagger import AudioTagger

Tagger = AudioTagger | IndexTagger


class Candidate(NamedTuple):
    """An event of a recording, or what may be one."""

    folder: str
    recording: str  # relative to the folder
    start: float  # in seconds
    end: float
    label: str
    probability: float
    threshold: float  # of an event of this class
    is_event: bool  # or a peak below the threshold

    @property
    def path(self) -> str:
        """The file."""
        return os.path.join(self.folder, self.recording)

    @property
    def asked(self) -> tuple[str, str, float, float, str, float]:
        """What an ``Answer`` begins with."""
        return self[:6]


class Order(NamedTuple):
    """Which candidate to hear first: that of the lowest key."""

    key: Callable[[Candidate], float]
    events_only: bool = False


def random_key(candidate: Candidate) -> int:
    """A number that is random for each candidate."""
    text = repr((candidate.recording, candidate.start, candidate.label))
    return zlib.crc32(text.encode("utf-8", "backslashreplace"))


ORDERS = {
    "uncertain": Order(
        lambda candidate: abs(candidate.probability - candidate.threshold)
    ),
    "random": Order(random_key, events_only=True),
    "top": Order(lambda candidate: -candidate.probability),
}


def candidate_seconds(tagger: Tagger, min_seconds: float = 0.5) -> float:
    """Length of a candidate around a peak: what a prediction is made from."""
    model = tagger.model
    if model.is_frame_level:
        return max(model.span_samples / tagger.sample_rate, min_seconds)
    return model.info.windows().size / tagger.sample_rate


def listen(
    tagger: Tagger, folder: str, names: list[str], progress: bool = False
) -> tuple[list[Candidate], list[str]]:
    """The candidates to hear in the recordings of a folder, and why others cannot
    be read.
    """
    seconds = candidate_seconds(tagger)
    is_one = len(names) == 1

    def hear(name: str) -> list[Candidate]:
        """The candidates of a recording."""
        path = os.path.join(folder, name)
        timeline = tagger.analyze(path, progress=progress and is_one)
        return find_candidates(timeline, folder, name, seconds)

    candidates: list[Candidate] = []
    reasons = []
    for _, found, reason in in_order(
        hear, names, progress=progress and not is_one
    ):
        candidates += found or []
        if reason is not None:
            reasons.append(reason)
    return candidates, reasons


def find_candidates(
    timeline: Timeline,
    folder: str,
    recording: str,
    seconds: float,
    min_probability: float = 0.05,
) -> list[Candidate]:
    """The events of a recording, and peaks of its probabilities elsewhere.

    Arguments
    ---------
    timeline : Timeline
    folder, recording : str
        Where the recording is, and its path from there.
    seconds : float
        Length of a candidate around a peak. There is none in an event of the class,
        nor two within this time.
    min_probability : float
        That of a peak.
    """
    candidates: list[Candidate] = []
    times, events = timeline.times, timeline.events()
    thresholds = timeline.rules.high.tolist()
    hop = float(np.median(np.diff(times))) if len(times) > 1 else seconds
    reach = max(round(seconds / hop), 1)  # predictions

    def add(start: float, end: float, prob: float, is_event: bool) -> None:
        """Adds a candidate of the class."""
        numbers = round(start, 3), round(end, 3), label, round(prob, 4)
        threshold = round(thresholds[c], 4)
        candidates.append(
            Candidate(folder, recording, *numbers, threshold, is_event)
        )

    for c, label in enumerate(timeline.labels):
        probs = timeline.probs[:, c]
        padded = np.pad(probs, reach, constant_values=-1)
        around = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
        is_peak = (probs >= min_probability) & (probs == around.max(1))
        for event in events:
            if event.label == label:
                start, end = heard_span(event, times, probs)
                add(start, end, event.probability, is_event=True)
                is_peak &= (times < event.start - seconds / 2) | (
                    times > end_of(event) + seconds / 2
                )
        for t in np.flatnonzero(is_peak).tolist():
            last = max(timeline.duration - seconds, 0.0)
            start = min(max(float(times[t]) - seconds / 2, 0.0), last)
            end = min(start + seconds, timeline.duration)
            add(start, end, float(probs[t]), is_event=False)
    return candidates


def end_of(event: Event) -> float:
    """The end of an event that is over."""
    assert event.end is not None
    return event.end


def heard_span(
    event: Event,
    times: np.ndarray,
    probs: np.ndarray,
    max_seconds: float = 10.0,
) -> tuple[float, float]:
    """Start and end of what is heard of an event: all of it or, if it is long, what
    is around its highest probability.
    """
    end = end_of(event)
    inside = np.flatnonzero((times >= event.start) & (times <= end))
    if end - event.start <= max_seconds or not len(inside):
        return event.start, end
    peak = float(times[inside[probs[inside].argmax()]])
    start = min(max(peak - max_seconds / 2, event.start), end - max_seconds)
    return start, start + max_seconds
