"""Mixes sounds into clips of 10 s, with the times of the sounds.

Sounds start at random times and levels over recorded or generated noise; a few
clips have noise alone. Parts of sounds are used, at a random speed.
``events.tsv`` has onsets and offsets, as in DCASE's tables of strong labels.

Authors
 * The speechbrain_fftp authors 2026
"""

import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fftp_tag.audio.scenes import (
    add_sound,
    change_speed,
    coloured_noise,
    from_decibels,
)
from fftp_tag.data.clips import CLIP_SECONDS, Clip, as_int16
from fftp_tag.data.names import text_digest
from fftp_tag.data.prepared import AUDIO, write_prepared
from fftp_tag.data.strong_labels import write_strong_labels

RATE = 16000
MOST_SOUNDS = 6  # of a clip
EMPTY = 0.05  # fraction of the clips without sounds
SECONDS = (0.5, 5.0)  # maximum length of a sound in a clip
WHOLE = 2.0  # shorter sounds, in seconds, need not be cut
SPEED = (0.87, 1.15)
SNR_DB = (6, 30)
NOISE_LEVEL = (0.002, 0.02)  # RMS
LOUD_DB = 20  # a part of a sound begins at most so much below its loudest 10 ms
QUIET_DB = 30  # and ends where it stays so much below it
FADE = RATE // 100
NOISE_SECONDS = 30  # of generated noise
GENERATED = (0.0, 0.5, 1.0, 1.5, 2.0)  # noises for training: power ~ 1 / f ** x


class Sound(NamedTuple):
    """A recording of one sound."""

    labels: tuple  # ids of its classes; it is drawn as one of the last
    wav: np.ndarray  # samples [S]
    is_whole: bool = False  # whether no parts of it are used


def write_mixtures(folder, mixer, sizes):
    """Writes the clips, the tables and the events of a prepared folder."""
    clips = {}
    for split, size in sizes.items():
        for number in range(size):
            clip_id = f"{split}{number:06d}"
            clips[clip_id] = mixer.draw(clip_id, split)

    def convert(clip):
        """The samples of a clip."""
        return as_int16(mixer.mix(clips[clip.id]))

    # Clips of an interrupted preparation may be of other settings
    shutil.rmtree(Path(folder, AUDIO), ignore_errors=True)
    write_prepared(
        folder,
        [
            Clip(
                clip_id,
                None,
                tuple(
                    sorted({x for e in drawn.events for x in e.sound.labels})
                ),
                drawn.split,
                end=CLIP_SECONDS,
            )
            for clip_id, drawn in clips.items()
        ],
        mixer.classes,
        sample_rate=RATE,
        convert=convert,
    )
    events = {
        clip_id: [
            (event.start / RATE, event.end / RATE, mixer.classes[label])
            for event in drawn.events
            for label in event.sound.labels
        ]
        for clip_id, drawn in clips.items()
    }
    write_strong_labels(Path(folder, "events.tsv"), events)


class Placed(NamedTuple):
    """A part of a sound, and where it is in a clip; times in samples."""

    sound: Sound
    wav: np.ndarray  # its samples [S], before the change of speed
    speed: float
    start: int
    end: int
    snr: float


class Drawn(NamedTuple):
    """What a clip is mixed of."""

    split: str
    noise: np.ndarray  # [S], at any level
    level: float  # its RMS in the clip
    events: list


class Mixer:
    """Draws clips, and mixes them.

    Arguments
    ---------
    sounds, noises : dict
        Sounds, and samples ``[S]`` of noises, by split. Noises for training are
        also generated.
    classes : dict
        Names by id.
    seed : int
        Seed of the mixtures.
    weights : dict
        By id, how often a class is drawn relative to the others.
    """

    def __init__(self, sounds, noises, classes, seed, weights=None):
        self.classes, self.seed = classes, seed
        self.weights = weights or {}
        self.sounds = {}
        for split, of_split in sounds.items():
            by_class = self.sounds[split] = {}
            for sound in of_split:
                of_class = by_class.setdefault(sound.labels[-1], [])
                of_class.append((sound, *loud_part(sound.wav)))
        rng = np.random.default_rng(seed)
        generated = [
            coloured_noise(rng, NOISE_SECONDS * RATE, RATE, x)
            for x in GENERATED
        ]
        self.noises = {
            split: [long_enough(wav) for wav in of_split] or generated
            for split, of_split in noises.items()
        }
        if noises["train"]:
            self.noises["train"] += generated

    def draw(self, clip_id, split):
        """Draws the sounds of a clip; two of a class do not overlap."""
        digest = bytes.fromhex(text_digest(f"{self.seed}/{clip_id}"))
        rng = np.random.default_rng(list(digest))
        length = round(CLIP_SECONDS * RATE)
        noises = self.noises[split]
        noise = noises[rng.integers(len(noises))]
        start = rng.integers(len(noise) - length)
        noise = noise[start : start + length]
        level = np.exp(rng.uniform(*np.log(NOISE_LEVEL)))
        events = []
        if rng.uniform() < EMPTY:
            return Drawn(split, noise, level, events)
        by_class = self.sounds[split]
        weights = [self.weights.get(x, 1) for x in by_class]
        weights = np.divide(weights, sum(weights))
        for label in rng.choice(
            list(by_class), rng.integers(1, MOST_SOUNDS + 1), p=weights
        ):
            event = draw_event(rng, by_class[label], length)
            if not any(
                x.sound.labels[-1] == label
                and event.start < x.end
                and x.start < event.end
                for x in events
            ):
                events.append(event)
        return Drawn(split, noise, level, events)

    def mix(self, drawn):
        """The samples ``[S]`` of a clip."""
        mixed = drawn.noise * (drawn.level / drawn.noise.std())
        for event in drawn.events:
            wav = change_speed(event.wav, event.speed, RATE)
            wav = wav[: event.end - event.start]
            level = drawn.level * from_decibels(event.snr)
            add_sound(mixed, wav, event.start, level, FADE)
        return mixed / max(1.0, np.abs(mixed).max())


def draw_event(rng, sounds, length):
    """Draws a part of one of the sounds, and where it is in a clip."""
    sound, wav, starts = sounds[rng.integers(len(sounds))]
    first = starts[rng.integers(len(starts))]
    size = round(np.exp(rng.uniform(*np.log(SECONDS))) * RATE)
    if sound.is_whole:
        first, size = 0, len(wav)
    wav = end_part(wav[first : first + size])
    speed = rng.uniform(*SPEED)
    size = int(len(wav) / speed)
    start = int(rng.integers(length - size))
    return Placed(sound, wav, speed, start, start + size, rng.uniform(*SNR_DB))


def levels_of(wav):
    """The power of each 10 ms of a sound, relative to the loudest, in dB."""
    count = len(wav) // FADE
    power = np.square(wav[: count * FADE].reshape(count, FADE)).mean(1)
    return 10 * np.log10(np.maximum(power / max(power.max(), 1e-12), 1e-9))


def loud_part(wav):
    """A sound without silence around it, and where a part of it may start."""
    levels = levels_of(wav)
    loud = np.flatnonzero(levels > -QUIET_DB)
    wav = wav[loud[0] * FADE : (loud[-1] + 1) * FADE]
    starts = np.flatnonzero(levels > -LOUD_DB) - loud[0]
    # The last ones leave at least the shortest part, where there is one
    latest = max(len(wav) - round(SECONDS[0] * RATE), 0)
    starts = starts[starts * FADE <= latest] * FADE
    return wav, starts if len(starts) else np.zeros(1, int)


def end_part(wav):
    """A part of a sound without the silence at its end."""
    loud = np.flatnonzero(levels_of(wav) > -QUIET_DB)
    return wav[: max((loud[-1] + 1) * FADE, 4 * FADE)]


def long_enough(noise):
    """A noise, repeated until it is longer than a clip."""
    missing = round(CLIP_SECONDS * RATE) + 1 - len(noise)
    return np.pad(noise, (0, max(missing, 0)), "wrap")
