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
MARK = 16  # samples before and after the highest of a second
# Of the seconds of a minute: where a copy begins within a second, the highest sample
# of some is another
REPEATED = 0.3


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

    Digital silence does not count, nor what repeats an earlier minute: a sound
    that is absent from it proves nothing.

    Arguments
    ---------
    seconds : float
        Length of the recordings without digital silence and repetition.
    silent_seconds, repeated_seconds : float
        Length of the digital silence, and of what is repeated.
    of_classes : dict
        ``FalseAlarms`` by label.
    together : FalseAlarms
        False alarms of all classes together.
    """

    seconds: float
    silent_seconds: float
    repeated_seconds: float
    of_classes: dict[str, FalseAlarms]
    together: FalseAlarms


class Heard(NamedTuple):
    """A recording without any of the sounds."""

    timeline: Timeline
    # Of each second, whether it is digital silence, and whether its minute repeats
    # an earlier one
    is_silent: np.ndarray
    is_repeated: np.ndarray

    @property
    def silent_seconds(self) -> float:
        """How much is digital silence."""
        return min(float(self.is_silent.sum()), self.timeline.duration)

    @property
    def repeated_seconds(self) -> float:
        """How much else is repeated."""
        left = self.timeline.duration - self.silent_seconds
        return min(float((self.is_repeated & ~self.is_silent).sum()), left)


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

    def hear(path: str) -> tuple[Timeline, np.ndarray, list[bytes]]:
        """Runs the model on a recording."""
        source = FilePiece(path)
        if part != WHOLE:
            start, end = (read_duration(path) * share for share in part)
            source = FilePiece(path, start, end if part[1] < 1 else math.inf)
        return tagger.analyze(source), *listen(source, tagger.sample_rate)

    heard = []
    before: set[bytes] = set()
    for path, found, error in in_order(hear, recordings, 1, progress):
        if found is None:
            logger.warning("not counted: %s: %s", path, error)
        else:
            timeline, is_silent, marks = found
            is_repeated = find_repeated(marks, before)
            heard.append(Heard(timeline, is_silent, is_repeated))
    return heard


def listen(source: FilePiece, rate: int) -> tuple[np.ndarray, list[bytes]]:
    """Whether seconds are digital silence ``[S]``, and a mark of each: the samples
    around the highest one, which a copy has as well.
    """
    is_silent, marks = [], []
    blocks = read_blocks(source, rate, warn=False)
    for pieces in cut_pieces(blocks, size=rate, hop=rate):
        levels = np.abs(pieces.wavs)
        around = levels.argmax(1)[:, None] + np.arange(-MARK, MARK + 1)
        around = around.clip(0, rate - 1)
        is_silent.append(levels.max(1) < SILENT_BELOW)
        marks += [
            x.tobytes() for x in np.take_along_axis(pieces.wavs, around, 1)
        ]
    return np.concatenate(is_silent or [np.zeros(0, bool)]), marks


def find_repeated(marks: list[bytes], before: set[bytes]) -> np.ndarray:
    """Whether the minutes of seconds with marks ``[S]`` repeat earlier ones.

    ``before`` has the marks of earlier minutes; those of these are added.
    """
    is_repeated = np.zeros(len(marks), bool)
    for start in range(0, len(marks), 60):
        own = marks[start : start + 60]
        count = sum(x in before for x in own)
        is_repeated[start : start + 60] = count >= REPEATED * len(own)
        before.update(own)
    return is_repeated


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
    repeated = sum(x.repeated_seconds for x in heard)
    return Background(seconds, silent, repeated, of_classes, together)


def find_false_alarms(
    heard: list[Heard], rules: Rules
) -> tuple[list[list[Event]], float]:
    """The events that rules find in each recording, and how many seconds of all
    count: those that are neither digital silence nor repeated.
    """
    events = []
    seconds = 0.0
    for x in heard:
        timeline = dataclasses.replace(x.timeline, rules=rules)
        gone = set(np.flatnonzero(x.is_repeated))
        events.append(
            [e for e in timeline.events() if int(e.start) not in gone]
        )
        seconds += timeline.duration - x.silent_seconds - x.repeated_seconds
    return events, seconds


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
