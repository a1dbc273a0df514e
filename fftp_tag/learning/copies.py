"""Augmented copies of the sounds in clips, alone, over background or between other
sounds.

Authors
 * The speechbrain_fftp authors 2026
"""

import zlib
from collections.abc import Iterator, Sequence

import numpy as np

from fftp_tag.audio.mixing import add_sound, change_speed, from_decibels
from fftp_tag.data.clips import Clip
from fftp_tag.learning.clips import ClipReader

COPIES = 5  # of a clip
BETWEEN = (
    1  # the copy between other sounds; others are alone or over background
)
NOISY = 4  # the copy that is shifted and noisy
COPY_LEVELS = (-30, 6)  # in dB, relative to the clip
OTHER_LEVELS = (-10, 6)  # in dB, of other sounds around copies
ABOVE_BACKGROUND = (6, 30)  # in dB, of copies over background
AROUND = 2.0  # seconds around a copy, altogether


def make_copies(
    clip: Clip,
    others: Sequence[Clip],
    background: Sequence[Clip],
    reader: ClipReader,
    max_seconds: float,
    count: int = COPIES,
) -> Iterator[tuple[np.ndarray, tuple[float, float]]]:
    """Yields mixtures ``[S]`` with a copy of a sound of a clip each, and when it
    starts and ends in seconds.

    A clip has the same copies wherever it is stored.

    Arguments
    ---------
    clip : Clip
    others, background : sequence of Clip
        What may be around copies.
    reader : ClipReader
    max_seconds : float
        Of a copy, but for changes of its speed.
    count : int
    """
    wav, rate = reader.read(clip), reader.rate
    rng = np.random.default_rng(zlib.crc32(wav.tobytes()))
    most = round(max_seconds * rate)
    sounds = [
        wav[round(start * rate) : round(end * rate)][:most]
        for start, end in clip.sounds
    ] or [wav[:most]]
    around = [*others, *background]
    for number in range(count):
        copy = augment(sounds[number % len(sounds)], number, rate, rng)
        size = len(copy) + round(AROUND * rate)
        mixture, first = copy, 0
        if number == BETWEEN and around:
            mixture, first = place_between(copy, size, around, reader, rng)
        elif background:
            mixture, first = place_over(copy, size, background, reader, rng)
        mixture = mixture * from_decibels(rng.uniform(*COPY_LEVELS))
        yield mixture, (first / rate, (first + len(copy)) / rate)


def augment(
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
    others: Sequence[Clip],
    reader: ClipReader,
    rng: np.random.Generator,
) -> tuple[np.ndarray, int]:
    """Places a sound ``[S]`` at random between others.

    Returns the mixture, of ``size`` samples, and the sound's first sample.
    """
    start = int(rng.integers(size - len(wav) + 1))
    before = other_sounds(start, others, reader, rng)
    after = other_sounds(size - start - len(wav), others, reader, rng)
    return np.concatenate([*before, wav, *after]), start


def place_over(
    wav: np.ndarray,
    size: int,
    background: Sequence[Clip],
    reader: ClipReader,
    rng: np.random.Generator,
) -> tuple[np.ndarray, int]:
    """Places a sound ``[S]`` at random over fainter background.

    Returns the mixture, of ``size`` samples, and the sound's first sample.
    """
    start = int(rng.integers(size - len(wav) + 1))
    under = np.concatenate([*other_sounds(size, background, reader, rng)])
    mixture = np.zeros(size, np.float32)
    level = from_decibels(-rng.uniform(*ABOVE_BACKGROUND)) * wav.std()
    add_sound(mixture, under, 0, level)
    add_sound(mixture, wav, start)
    return mixture, start


def other_sounds(
    size: int,
    others: Sequence[Clip],
    reader: ClipReader,
    rng: np.random.Generator,
) -> Iterator[np.ndarray]:
    """Yields pieces of other clips, of so many samples altogether."""
    while size > 0:
        wav = reader.read(others[int(rng.integers(len(others)))])
        last = max(len(wav) - size, 0)
        piece = wav[round(rng.uniform(0, last)) :][:size]
        if len(piece) == 0:  # what can be read is shorter than stated
            piece = np.zeros(size, np.float32)
        yield piece * np.float32(from_decibels(rng.uniform(*OTHER_LEVELS)))
        size -= len(piece)
