"""Counts false alarms: events in recordings without any of the sounds.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import logging
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fftp_tag.audio.decode import SILENT_BELOW, read_duration
from fftp_tag.audio.pieces import FilePiece, cut_pieces, read_blocks
from fftp_tag.model.info import Rules
from fftp_tag.parallel import in_order
from fftp_tag.tag.events import Event, Timeline

if TYPE_CHECKING:
    from fftp_tag.tag.tagger import AudioTagger

logger = logging.getLogger(__name__)

WHOLE = (0.0, 1.0)  # recordings


@dataclasses.dataclass(frozen=True)
class FalseAlarms:
    """False alarms of a class, or of all classes together.

    Arguments
    ---------
    count : int
    at_most : float
        Upper bound per hour of recordings like these, with a confidence of
        95 %.
    """

    count: int
    at_most: float


@dataclasses.dataclass(frozen=True)
class Background:
    """False alarms in recordings without any of the sounds.

    Digital silence does not count: a sound that is absent from it proves
    nothing.

    Arguments
    ---------
    seconds : float
        Length of the recordings without digital silence.
    silent_seconds : float
        Length of the digital silence.
    of_classes : dict
        ``FalseAlarms`` by label.
    together : FalseAlarms
        False alarms of all classes together.
    """

    seconds: float
    silent_seconds: float
    of_classes: dict[str, FalseAlarms]
    together: FalseAlarms


class Heard(NamedTuple):
    """A recording without any of the sounds."""

    timeline: Timeline
    silent_seconds: float


def listen_to_background(
    tagger: "AudioTagger",
    recordings: list[str],
    part: tuple[float, float] = WHOLE,
    progress: bool = False,
) -> Background:
    """Counts false alarms in recordings, see ``analyze_background``."""
    heard = analyze_background(tagger, recordings, part, progress)
    return count_false_alarms(tagger.labels, heard, tagger.model.rules)


def analyze_background(
    tagger: "AudioTagger",
    recordings: list[str],
    part: tuple[float, float] = WHOLE,
    progress: bool = False,
) -> list[Heard]:
    """Runs a model on recordings; skips and logs unreadable ones.

    Arguments
    ---------
    tagger : AudioTagger
    recordings : list of str
        Audio files without any of the sounds.
    part : tuple of float
        The part of each recording that counts: its start and end, of 0 to 1.
    progress : bool
        Whether to show progress.
    """

    def hear(path: str) -> Heard:
        """Runs the model on a recording."""
        source = FilePiece(path)
        if part != WHOLE:
            start, end = (read_duration(path) * share for share in part)
            source = FilePiece(path, start, end if part[1] < 1 else math.inf)
        timeline = tagger.analyze(source)
        silent = silent_seconds(source, tagger.sample_rate)
        return Heard(timeline, min(silent, timeline.duration))

    heard = []
    for path, found, error in in_order(hear, recordings, 1, progress):
        if found is None:
            logger.warning("not counted: %s: %s", path, error)
        else:
            heard.append(found)
    return heard


def silent_seconds(source: FilePiece, rate: int) -> int:
    """How many seconds are digital silence."""
    blocks = read_blocks(source, rate, warn=False)
    seconds = cut_pieces(blocks, size=rate, hop=rate)
    return sum(
        int((np.abs(x.wavs).max(1) < SILENT_BELOW).sum()) for x in seconds
    )


def count_false_alarms(
    labels: list[str], heard: list[Heard], rules: Rules
) -> Background:
    """Counts the events of each class in recordings without the sounds."""
    events, seconds = find_false_alarms(heard, rules)
    of_classes = {}
    for label in labels:
        own = [[x for x in found if x.label == label] for found in events]
        of_classes[label] = false_alarms_of(own, seconds)
    together = false_alarms_of(events, seconds)
    silent = sum(x.silent_seconds for x in heard)
    return Background(seconds, silent, of_classes, together)


def find_false_alarms(
    heard: list[Heard], rules: Rules
) -> tuple[list[list[Event]], float]:
    """The events that rules find in each recording, and how many seconds of all
    are not digital silence.
    """
    timelines = [dataclasses.replace(x.timeline, rules=rules) for x in heard]
    seconds = sum(x.timeline.duration - x.silent_seconds for x in heard)
    return [timeline.events() for timeline in timelines], seconds


def false_alarms_of(events: list[list[Event]], seconds: float) -> FalseAlarms:
    """The false alarms, given the events of each recording."""
    count = sum(map(len, events))
    if seconds == 0:
        return FalseAlarms(count, at_most=math.inf)
    return FalseAlarms(count, at_most=3600 * upper_bound(count) / seconds)


def upper_bound(count: int) -> float:
    """The upper bound (95 %) of a Poisson distribution's mean from a count."""
    from scipy.stats import chi2

    return float(chi2.ppf(0.95, 2 * (count + 1)) / 2)
