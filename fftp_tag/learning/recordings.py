"""Computes features of recordings, and caches them in a file.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import dataclasses
import json
import logging
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fftp_tag.audio.scenes import add_sound, change_speed, from_decibels
from fftp_tag.audio.sounds import Interval
from fftp_tag.audio.windows import Part, read_part
from fftp_tag.errors import InputError
from fftp_tag.files import atomic_path, file_identity, named_damage
from fftp_tag.model.spans import OUTPUT
from fftp_tag.parallel import in_order
from fftp_tag.tag.tagger import AudioTagger
from fftp_tag.version import __version__

logger = logging.getLogger(__name__)

COPIES = 5  # of a clip
BETWEEN = 1  # the copy between other sound; others are alone or in a room
NOISY = 4  # the copy that is shifted and noisy
COPY_LEVELS = (-30, 6)  # in dB, relative to the clip
OTHER_LEVELS = (-10, 6)  # in dB, of other sound around copies
ROOM_MARGIN = (6, 30)  # in dB, of copies over background
AROUND = 2.0  # seconds around a copy, altogether
LONGEST = 60.0  # seconds of a clip whose sounds are learnt from


@dataclasses.dataclass(frozen=True)
class Recording:
    """A recording, or a part of it, to learn from.

    Arguments
    ---------
    part : Part
    hop : int, optional
        Of background: from one span to the next, in predictions.
    sounds : tuple of Interval
        Where the sound is, the longest first; by default anywhere.
    copies : int
        The number of augmented copies that are learnt from as well.
    clips, rooms : tuple of Part
        For copies: other clips, and background, around them; each with an end.
    """

    part: Part
    hop: int | None = None
    sounds: tuple[Interval, ...] = ()
    copies: int = 0
    clips: tuple[Part, ...] = ()
    rooms: tuple[Part, ...] = ()

    @property
    def key(self) -> str:
        """A key for the cache: all that affects the features but the model."""
        parts = [
            [(file_identity(x.path), x.start, x.end) for x in parts]
            for parts in ((self.part,), self.clips, self.rooms)
        ]
        return json.dumps([parts, self.hop, self.sounds, self.copies])


class Features(NamedTuple):
    """The features of a recording.

    Arguments
    ---------
    spans : numpy.ndarray
        Features of its spans, ``[N, F]``.
    sounds : numpy.ndarray
        The mean features of the spans of its sounds, and those of augmented
        copies, ``[K, F]``; none of background, whose spans are learnt from.
    """

    spans: np.ndarray
    sounds: np.ndarray


def read_cache(path: Path, digest: str) -> dict[str, Features]:
    """The features in a file by key; none if it is of another model."""
    if not path.is_file():
        return {}
    remedy = "all features are computed again"
    try:
        with named_damage(path, remedy), np.load(path) as file:
            if str(file["digest"]) != digest:
                return {}
            ends = np.cumsum(file["counts"].ravel())[:-1]
            parts = np.split(file["features"], ends)
            keys = file["keys"].tolist()
            return dict(
                zip(keys, map(Features, parts[::2], parts[1::2]), strict=False)
            )
    except InputError as error:
        logger.warning("%s", error)
        return {}


def write_cache(path: Path, digest: str, features: dict[str, Features]) -> None:
    """Writes features, if there are any, with the checksum of their model."""
    if not features:
        return
    parts = features.values()
    with atomic_path(path) as temporary_path:
        with open(temporary_path, "wb") as file:
            np.savez(
                file,
                digest=np.array(digest),
                keys=np.array(list(features)),
                counts=np.array([[len(y) for y in x] for x in parts]),
                features=np.concatenate([y for x in parts for y in x]),
            )


def compute_features(
    encoder: AudioTagger,
    recordings: list[Recording],
    cache: Path,
    progress: bool = False,
) -> tuple[dict[Recording, Features], dict[str, str]]:
    """Computes the features of recordings that are not in the cache.

    The cache is written at the end, and if this is interrupted. At the end, it
    has only the features of these recordings.

    Arguments
    ---------
    encoder : AudioTagger
        A model of ``make_span_model``.
    recordings : list of Recording
    cache : Path
        The file.
    progress : bool
        Whether to show progress.

    Returns
    -------
    features : dict of Features
        By recording.
    errors : dict
        Reasons by name of the recordings that cannot be read.
    """
    digest = f"{__version__} {encoder.model.digest}"
    known, used = read_cache(cache, digest), {}

    def look_up(recording: Recording) -> tuple[str, Features]:
        """The key of a recording, and its features."""
        key = recording.key
        return key, known.get(key) or features_of(encoder, recording)

    features, errors = {}, {}
    try:
        for recording, result, error in in_order(
            look_up, recordings, progress=progress, unit="clips"
        ):
            if result is None:
                errors[str(recording.part)] = str(error)
                continue
            key, features[recording] = result
            used[key] = features[recording]
        known = {}
    finally:
        write_cache(cache, digest, {**known, **used})
    return features, errors


def features_of(encoder: AudioTagger, recording: Recording) -> Features:
    """Computes the features of a recording."""
    if recording.hop is not None:
        spans = background_spans(encoder, recording.part, recording.hop)
        return Features(spans, spans[:0])
    path, start, end = recording.part
    rate = encoder.sample_rate
    clip = read_part(path, rate, start, min(end - start, LONGEST))
    is_whole = len(clip) < LONGEST * rate
    times, spans = (
        encoder.span_features(clip, rate)
        if is_whole
        else encoder.span_features(recording.part)
    )
    own = spans.mean(0, keepdims=True)
    if recording.sounds:
        own = mean_inside(encoder, times, spans, recording.sounds)
    copies = features_of_copies(encoder, recording, clip)
    return Features(spans, np.concatenate([own, *copies]))


def features_of_copies(
    encoder: AudioTagger, recording: Recording, clip: np.ndarray
) -> Iterator[np.ndarray]:
    """Yields the features ``[1, F]`` of augmented copies of a clip's sounds.

    ``clip`` has the clip's samples ``[S]``.
    """
    if not recording.copies:
        return
    rate, rooms = encoder.sample_rate, recording.rooms
    others = recording.clips + rooms
    # A clip has the same copies wherever it is stored
    rng = np.random.default_rng(zlib.crc32(clip.tobytes()))
    most = round(encoder.max_seconds * rate)
    sounds = [
        clip[round(begin * rate) : round(stop * rate)][:most]
        for begin, stop in recording.sounds
    ] or [clip[:most]]
    for number in range(recording.copies):
        copy = augmented_copy(sounds[number % len(sounds)], number, rate, rng)
        size = len(copy) + round(AROUND * rate)
        scene, first = copy, 0
        if number == BETWEEN and others:
            scene, first = place_between(copy, size, others, rate, rng)
        elif rooms:
            scene, first = place_over(copy, size, rooms, rate, rng)
        scene = scene * from_decibels(rng.uniform(*COPY_LEVELS))
        times, spans = encoder.span_features(scene, rate)
        inside = first / rate, (first + len(copy)) / rate
        yield mean_inside(encoder, times, spans, [inside])


def background_spans(
    encoder: AudioTagger, source: Part, hop: int
) -> np.ndarray:
    """Features of spans of background ``[N, F]``, ``hop`` predictions apart."""
    found: list[np.ndarray] = []
    for _, wavs in encoder.pieces(source):
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


def augmented_copy(
    wav: np.ndarray, number: int, rate: int, rng: np.random.Generator
) -> np.ndarray:
    """An augmented copy of a sound ``[S]``, by its number.

    It is resampled to another speed. One has a smaller change of speed, and is
    shifted and noisy; more noise would cost accuracy on clean clips.
    """
    is_noisy = number == NOISY
    low, high = (0.92, 1.08) if is_noisy else (0.85, 1.18)
    speed = np.exp(rng.uniform(np.log(low), np.log(high)))
    copy = change_speed(wav, speed, rate)
    if is_noisy:
        shift = round(rng.uniform(-0.1, 0.1) * rate)
        size = len(copy)
        copy = np.pad(copy, abs(shift))[abs(shift) - shift :][:size]
        level = np.sqrt(np.square(copy).mean())
        noise = rng.standard_normal(size).astype(np.float32)
        copy = copy + level * from_decibels(rng.uniform(-40, -20)) * noise
    return copy.astype(np.float32)


def place_between(
    wav: np.ndarray,
    size: int,
    others: Sequence[Part],
    rate: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, int]:
    """Places a clip ``[S]`` at random between other sounds.

    Returns the scene, of ``size`` samples, and the clip's first sample.
    """
    start = int(rng.integers(size - len(wav) + 1))
    before = other_sound(start, others, rate, rng)
    after = other_sound(size - start - len(wav), others, rate, rng)
    return np.concatenate([*before, wav, *after]), start


def place_over(
    wav: np.ndarray,
    size: int,
    rooms: Sequence[Part],
    rate: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, int]:
    """Places a clip ``[S]`` at random over fainter background.

    Returns the scene, of ``size`` samples, and the clip's first sample.
    """
    start = int(rng.integers(size - len(wav) + 1))
    room = np.concatenate([*other_sound(size, rooms, rate, rng)])
    scene = np.zeros(size, np.float32)
    level = from_decibels(-rng.uniform(*ROOM_MARGIN)) * wav.std()
    add_sound(scene, room, 0, level)
    add_sound(scene, wav, start)
    return scene, start


def other_sound(
    size: int, others: Sequence[Part], rate: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yields parts of other recordings, of so many samples altogether."""
    while size > 0:
        path, begin, end = others[int(rng.integers(len(others)))]
        start = rng.uniform(begin, max(end - size / rate, begin))
        seconds = min(end - start, (size + 1) / rate)  # of hours, perhaps
        wav = np.zeros(0, np.float32)
        with contextlib.suppress(InputError):  # which is its own clip's error
            wav = read_part(path, rate, start, seconds)[:size]
        if len(wav) == 0:  # or it is shorter than it states
            wav = np.zeros(size, np.float32)
        yield wav * np.float32(from_decibels(rng.uniform(*OTHER_LEVELS)))
        size -= len(wav)
