"""Places of recordings to hear: events, and peaks below the threshold.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fftp_tag.parallel import in_order
from fftp_tag.tag.events import Event, Timeline
from fftp_tag.tag.tagger import AudioTagger

LEAST = 0.05  # probability of a peak
SHORTEST = 0.5  # seconds around a peak
LONGEST = 10.0  # seconds of an event that are heard, around its peak


class Place(NamedTuple):
    """A part of a recording that may have a class."""

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
    """Which place to hear first: that of the lowest key."""

    key: Callable[[Place], float]
    events_only: bool = False


def random_key(place: Place) -> int:
    """A number that is random for each place."""
    text = repr((place.recording, place.start, place.label))
    return zlib.crc32(text.encode("utf-8", "backslashreplace"))


ORDERS = {
    "uncertain": Order(lambda place: abs(place.probability - place.threshold)),
    "random": Order(random_key, events_only=True),
    "top": Order(lambda place: -place.probability),
}


def place_seconds(tagger: AudioTagger) -> float:
    """Length of a place around a peak: what a prediction is made from."""
    model = tagger.model
    if model.is_frame_level:
        return max(model.span_samples / tagger.sample_rate, SHORTEST)
    return tagger.check_window().size / tagger.sample_rate


def listen(
    tagger: AudioTagger, folder: str, names: list[str], progress: bool = False
) -> tuple[list[Place], list[str]]:
    """The places to hear in the recordings of a folder, and why others cannot
    be read.
    """
    seconds = place_seconds(tagger)
    is_one = len(names) == 1

    def hear(name: str) -> list[Place]:
        """The places of a recording."""
        path = os.path.join(folder, name)
        timeline = tagger.analyze(path, progress=progress and is_one)
        return find_places(timeline, folder, name, seconds)

    places: list[Place] = []
    reasons = []
    for _, found, reason in in_order(
        hear, names, progress=progress and not is_one
    ):
        places += found or []
        if reason is not None:
            reasons.append(reason)
    return places, reasons


def find_places(
    timeline: Timeline, folder: str, recording: str, seconds: float
) -> list[Place]:
    """The events of a recording, and peaks of its probabilities elsewhere.

    Arguments
    ---------
    timeline : Timeline
    folder, recording : str
        Where the recording is, and its path from there.
    seconds : float
        Length of a place around a peak. There is none in an event of the class,
        nor two within this time.
    """
    places: list[Place] = []
    times, events = timeline.times, timeline.events()
    thresholds = timeline.rules.high.tolist()
    hop = float(np.median(np.diff(times))) if len(times) > 1 else seconds
    reach = max(round(seconds / hop), 1)  # predictions

    def add(start: float, end: float, prob: float, is_event: bool) -> None:
        """Adds a place of the class."""
        numbers = round(start, 3), round(end, 3), label, round(prob, 4)
        threshold = round(thresholds[c], 4)
        places.append(Place(folder, recording, *numbers, threshold, is_event))

    for c, label in enumerate(timeline.labels):
        probs = timeline.probs[:, c]
        padded = np.pad(probs, reach, constant_values=-1)
        around = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
        is_peak = (probs >= LEAST) & (probs == around.max(1))
        for event in events:
            if event.label == label:
                start, end = heard_part(event, times, probs)
                add(start, end, event.probability, is_event=True)
                is_peak &= (times < event.start - seconds / 2) | (
                    times > end_of(event) + seconds / 2
                )
        for t in np.flatnonzero(is_peak).tolist():
            last = max(timeline.duration - seconds, 0.0)
            start = min(max(float(times[t]) - seconds / 2, 0.0), last)
            end = min(start + seconds, timeline.duration)
            add(start, end, float(probs[t]), is_event=False)
    return places


def end_of(event: Event) -> float:
    """The end of an event that is over."""
    assert event.end is not None
    return event.end


def heard_part(
    event: Event, times: np.ndarray, probs: np.ndarray
) -> tuple[float, float]:
    """Start and end of an event, or of the part around its highest probability
    if it is long.
    """
    end = end_of(event)
    inside = np.flatnonzero((times >= event.start) & (times <= end))
    if end - event.start <= LONGEST or not len(inside):
        return event.start, end
    peak = float(times[inside[probs[inside].argmax()]])
    start = min(max(peak - LONGEST / 2, event.start), end - LONGEST)
    return start, start + LONGEST
