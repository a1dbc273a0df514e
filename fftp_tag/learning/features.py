"""Computes the features of clips: samples to learn from.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import logging
import math
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fftp_tag.audio.pieces import Source
from fftp_tag.audio.sounds import Interval
from fftp_tag.data.clips import Clip
from fftp_tag.errors import InputError
from fftp_tag.learning.clips import MAX_CLIP_SECONDS, ClipReader, DataSet
from fftp_tag.learning.copies import COPIES, make_copies
from fftp_tag.model.session import Model
from fftp_tag.model.spans import HOPS, OUTPUT
from fftp_tag.parallel import in_order
from fftp_tag.store import Entries, read_entries, write_entries
from fftp_tag.tag.tagger import AudioTagger
from fftp_tag.version import __version__

logger = logging.getLogger(__name__)

AROUND_CLIPS = 4  # clips, and clips of background, around the copies of a clip
MAX_SPANS = 4000  # of background, about half an hour
BANK_COPIES = 1  # of each sound of the bank


class Sample(NamedTuple):
    """A clip with its features, to learn from or to be scored."""

    clip: Clip
    target: np.ndarray  # multi-hot labels [C]
    is_known: np.ndarray  # whether a label is known [C]
    spans: np.ndarray  # features of its spans [N, F]
    # Features of its sounds and of augmented copies [K, F]; if there are none,
    # each span is learnt from: any may be a false alarm
    sounds: np.ndarray

    @property
    def is_background(self) -> bool:
        """Whether it has no class."""
        return not self.target.any()

    @property
    def rows(self) -> np.ndarray:
        """The features that are learnt from ``[N, F]``."""
        return self.sounds if len(self.sounds) else self.spans

    @property
    def centre(self) -> np.ndarray:
        """The features ``[F]`` of the clip as it is."""
        return self.sounds[0] if len(self.sounds) else self.spans.mean(0)


class Cache:
    """What was found and computed before, in a file beside the model.

    Arguments
    ---------
    path : Path
        The file.
    """

    def __init__(self, path: Path):
        self.path = path
        self.found: dict[str, Any] = {}  # by clip, see find_all_sounds
        self.digest = ""  # of what computes the features
        self.features: Entries = {}  # spans and sounds by key
        if path.is_file():
            remedy = "all features are computed again"
            try:
                about, self.features = read_entries(path, remedy)
                self.found, self.digest = about["found"], about["digest"]
            except InputError as error:
                logger.warning("%s", error)

    def write(self) -> None:
        """Writes the file, if there is anything to keep."""
        if self.features:
            about = {"found": self.found, "digest": self.digest}
            write_entries(self.path, about, self.features)


def compute_samples(
    encoder: AudioTagger,
    data: DataSet,
    reader: ClipReader,
    cache: Cache,
    progress: bool = False,
) -> tuple[list[Sample], dict[str, str]]:
    """Computes the features of clips that are not in the cache.

    The cache is written at the end, and if this is interrupted. At the end, it
    has only the features of these clips.

    Arguments
    ---------
    encoder : AudioTagger
        A model of ``make_span_model``.
    data : DataSet
    reader : ClipReader
    cache : Cache
    progress : bool
        Whether to show progress.

    Returns
    -------
    samples : list of Sample
    not_read : dict
        Reasons by name of the clips that cannot be read.
    """
    digest = f"{__version__} {encoder.model.digest}"
    known = cache.features if cache.digest == digest else {}
    used: dict[str, tuple[np.ndarray, ...]] = {}
    hop = choose_hop(data.background_seconds, encoder.model)
    labelled, background = data.labelled, data.background

    def compute(clip: Clip) -> tuple[str, tuple[np.ndarray, ...]]:
        """The key of a clip, and the features of its spans and sounds."""
        others: tuple[Clip, ...] = ()
        background_of: tuple[Clip, ...] = ()
        count = 0
        if clip.kind:
            count = BANK_COPIES
        elif clip.split != "eval" and not is_searched(clip):
            count = COPIES
            others = choose_others(labelled, clip)
            background_of = choose_others(background, clip)
        key = json.dumps(
            [
                [
                    (reader.identity(x.audio), x.start, x.end)
                    for x in (clip, *others, *background_of)
                ],
                len(others),
                clip.sounds,
                count,
                hop if is_searched(clip) else None,
            ]
        )
        if key in known:
            return key, known[key]
        if is_searched(clip):
            spans = spans_of_background(encoder, clip, reader, hop)
            return key, (spans, spans[:0])
        copies = make_copies(
            clip, others, background_of, reader, encoder.max_seconds, count
        )
        return key, features_of(encoder, clip, reader, copies)

    samples = []
    not_read = {}
    try:
        for clip, result, error in in_order(
            compute, data.clips, progress=progress, unit="clips"
        ):
            if result is None:
                not_read[clip.id] = str(error)
                continue
            key, used[key] = result[0], result[1]
            classes = clip.known or data.labels
            samples.append(
                Sample(
                    clip,
                    np.array(
                        [x in clip.labels for x in data.labels], np.float32
                    ),
                    np.array([x in classes for x in data.labels]),
                    *used[key],
                )
            )
        known = {}
    finally:
        cache.digest, cache.features = digest, {**known, **used}
        cache.write()
    return samples, not_read


def is_searched(clip: Clip) -> bool:
    """Whether it is background, each span of which is learnt from."""
    return not clip.labels and not clip.kind and not clip.is_reviewed


def choose_hop(seconds: float, model: Model) -> int:
    """Predictions from one span to the next, of so much background.

    Spans overlap by half, or less if there would be too many for the memory.
    """
    n_predictions = seconds * model.sample_rate / model.hop_samples
    return max(HOPS // 2, math.ceil(n_predictions / MAX_SPANS))


def choose_others(clips: Sequence[Clip], clip: Clip) -> tuple[Clip, ...]:
    """A few clips that do not overlap with a clip, at random for each clip."""
    others = [
        x
        for x in clips
        if x.audio != clip.audio or x.end <= clip.start or x.start >= clip.end
    ]
    return tuple(sorted(others, key=lambda x: draw(clip, x))[:AROUND_CLIPS])


def draw(clip: Clip, other: Clip) -> int:
    """A number that is random for each pair of clips."""
    names = [(os.path.basename(x.audio), x.start) for x in (clip, other)]
    return zlib.crc32(repr(names).encode())


def source_of(clip: Clip, reader: ClipReader) -> Source:
    """The samples of a clip ``[S]``, or where they are if it is long."""
    wav = reader.read(clip)
    is_long = len(wav) >= MAX_CLIP_SECONDS * reader.rate
    return clip.piece if is_long else wav


def features_of(
    encoder: AudioTagger,
    clip: Clip,
    reader: ClipReader,
    copies: Iterator[tuple[np.ndarray, Interval]],
) -> tuple[np.ndarray, np.ndarray]:
    """Features of the spans of a clip ``[N, F]``, of its sounds and of copies
    ``[K, F]``.
    """
    rate = reader.rate
    times, spans = encoder.span_features(source_of(clip, reader), rate)
    own = spans.mean(0, keepdims=True)
    if clip.sounds:
        own = mean_inside(encoder, times, spans, clip.sounds)
    sounds = [own]
    for mixture, interval in copies:
        found = encoder.span_features(mixture, rate)
        sounds.append(mean_inside(encoder, *found, [interval]))
    return spans, np.concatenate(sounds)


def spans_of_background(
    encoder: AudioTagger, clip: Clip, reader: ClipReader, hop: int
) -> np.ndarray:
    """Features of spans of background ``[N, F]``, ``hop`` predictions apart."""
    found: list[np.ndarray] = []
    for _, wavs in encoder.pieces(source_of(clip, reader), reader.rate):
        (spans,) = encoder.model.run([OUTPUT], wavs)
        found.append(np.concatenate(spans[:, ::hop]))
    return np.concatenate(found)


def mean_inside(
    encoder: AudioTagger,
    times: np.ndarray,
    spans: np.ndarray,
    intervals: Sequence[Interval],
) -> np.ndarray:
    """Mean features ``[1, F]`` of the spans that are inside sounds.

    Arguments
    ---------
    encoder : AudioTagger
    times, spans : numpy.ndarray
        The centres ``[N]`` of spans in seconds, and their features ``[N, F]``.
    intervals : sequence of Interval
        Sounds; of one that is shorter than a span, the span around it is used.
    """
    span = encoder.model.span_samples / encoder.sample_rate
    is_inside = np.zeros(len(times), bool)
    for start, end in intervals:
        distance = np.abs(times - (start + end) / 2)
        reach = max((end - start - span) / 2, distance.min())
        is_inside |= distance <= reach
    return spans[is_inside].mean(0, keepdims=True)
