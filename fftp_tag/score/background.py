"""Counts false alarms: events in recordings without any of the sounds.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import logging
import math
from typing import TYPE_CHECKING, Dict, Iterator, List, NamedTuple

import numpy as np

from fftp_tag.parallel import in_order
from fftp_tag.score.events import join_overlapping
from fftp_tag.tag.events import Event, Timeline
from fftp_tag.tag.windows import Part, cut_windows, read_blocks
from speechbrain_fftp.dataio.audio import SILENCE, read_duration

if TYPE_CHECKING:
    from fftp_tag.tag.tagger import AudioTagger

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class FalseAlarms:
    """False alarms of a class, or of all classes together.

    Arguments
    ---------
    count : int
    at_most : float
        Upper bound per hour of recordings like these, with a confidence of
        95 %.
    share : float
        The share of the time that they last.
    """

    count: int
    at_most: float
    share: float


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
    of_classes: Dict[str, FalseAlarms]
    together: FalseAlarms


class Heard(NamedTuple):
    """A recording without any of the sounds."""

    timeline: Timeline  # all probabilities are 0 in digital silence
    silent_seconds: float  # length of the digital silence


def listen_to_background(
    tagger: "AudioTagger",
    recordings: List[str],
    is_second_half: bool = False,
    progress: bool = False,
) -> Background:
    """Counts false alarms in recordings, see ``analyze_background``."""
    heard = analyze_background(tagger, recordings, is_second_half, progress)
    return count_false_alarms(tagger.labels, heard)


def analyze_background(
    tagger: "AudioTagger",
    recordings: List[str],
    is_second_half: bool = False,
    progress: bool = False,
) -> List[Heard]:
    """Runs a model on recordings; skips and logs unreadable ones.

    Arguments
    ---------
    tagger : AudioTagger
    recordings : list of str
        Audio files without any of the sounds.
    is_second_half : bool
        Whether only the second half of each recording counts.
    progress : bool
        Whether to show progress.
    """
    rate = tagger.sample_rate

    def hear(path: str) -> Heard:
        """Runs the model on a recording."""
        start = read_duration(path) / 2 if is_second_half else 0.0
        source = Part(path, start)
        timeline = tagger.analyze(source)
        blocks = read_blocks(source, rate, warn=False)
        return without_silence(timeline, find_silence(blocks, rate))

    heard = []
    for path, found, error in in_order(hear, recordings, 1, progress):
        if found is None:
            logger.warning("not counted: %s: %s", path, error)
        else:
            heard.append(found)
    return heard


def without_silence(timeline: Timeline, is_silent: np.ndarray) -> Heard:
    """Sets probabilities to 0 in the seconds that are digital silence."""
    starts = np.arange(len(is_silent))
    lengths = np.clip(timeline.duration - starts, 0, 1)
    second = np.minimum(timeline.times.astype(int), len(is_silent) - 1)
    probs = np.where(is_silent[second, None], 0, timeline.probs)
    timeline = dataclasses.replace(timeline, probs=probs)
    return Heard(timeline, float(lengths[is_silent].sum()))


def count_false_alarms(labels: List[str], heard: List[Heard]) -> Background:
    """Counts the events of each class in recordings without the sounds."""
    events = [timeline.events() for timeline, _ in heard]
    silent_seconds = sum(seconds for _, seconds in heard)
    seconds = sum(x.duration for x, _ in heard) - silent_seconds
    of_classes = {}
    for label in labels:
        own = [[x for x in found if x.label == label] for found in events]
        of_classes[label] = false_alarms_of(own, seconds)
    return Background(
        seconds, silent_seconds, of_classes, false_alarms_of(events, seconds)
    )


def false_alarms_of(events: List[List[Event]], seconds: float) -> FalseAlarms:
    """The false alarms, given the events of each recording."""
    count = sum(map(len, events))
    if seconds == 0:
        return FalseAlarms(count, at_most=math.inf, share=0.0)
    lasting = sum(map(covered_seconds, events))
    return FalseAlarms(
        count,
        at_most=3600 * upper_bound(count) / seconds,
        share=min(lasting / seconds, 1.0),
    )


def find_silence(blocks: Iterator[np.ndarray], rate: int) -> np.ndarray:
    """Whether each second of consecutive blocks ``[S]`` is digital silence.

    The last one is the second before the end.
    """
    seconds = cut_windows(blocks, size=rate, hop=rate)
    peaks = [np.abs(batch.wavs).max(1) for batch in seconds]
    return np.concatenate(peaks) < SILENCE


def covered_seconds(events: List[Event]) -> float:
    """How long at least one of the events lasts."""
    times = np.array([(event.start, event.end) for event in events])
    return float(np.diff(join_overlapping(times)).sum())


def upper_bound(count: int) -> float:
    """The upper bound (95 %) of a Poisson distribution's mean from a count."""
    from scipy.stats import chi2

    return float(chi2.ppf(0.95, 2 * (count + 1)) / 2)
