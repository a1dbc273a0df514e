#!/usr/bin/env python3
"""A demo set of synthetic sounds, generated into a prepared folder.

> python recipes/Demo/demo_prepare.py PREPARED_FOLDER

Each clip mixes one to three sounds of different AudioSet classes, at random
times and levels, with a noise floor; a few clips have no sounds: silence, or
the noise of a quiet room. ``events.tsv`` has onsets and offsets, as in DCASE's
tables of strong labels. The classes are easy to synthesise: each has a function
that takes a random generator and an array of times in seconds, and draws its
own frequencies, rates and so on; its level is arbitrary.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import base64
import hashlib
import logging
import os
import shutil

import numpy as np

from fftp_tag.audio.mixing import coloured_noise
from fftp_tag.data.clips import CLIP_SECONDS, Clip, as_int16
from fftp_tag.data.prepared import AUDIO, preparing, write_prepared
from fftp_tag.data.strong_labels import write_strong_labels
from fftp_tag.errors import one_line_errors

RATE = 16000
SIZES = {"train": 960, "valid": 120, "eval": 120}  # clips with sounds
SEED = 0
EVENTS = "events.tsv"
FADE_SECONDS = 0.01  # at both ends, applied when sounds are mixed
PEAK = 0.3  # of an event at 0 dB, so that three of them stay below full scale
LEVELS_DB = (-12, 0)  # of the events
FLOOR_DB = -50
ROOM_DB = (-70, -35)  # of the noise of clips without sounds
CLIPS_PER_EMPTY = 20  # clips with sounds for each clip without


def prepare_demo(prepared_folder):
    """Generates a multi-label set as a prepared folder, unless it exists.

    Writes clips of 10 s at 16 kHz, the manifests and tables of any
    prepared folder, and ``events.tsv`` (filename, which is the id of a clip,
    onset, offset, event_label; in seconds).

    Arguments
    ---------
    prepared_folder : str
        Folder to write to.

    Raises
    ------
    InputError
        If the folder holds other data.
    """
    with preparing(prepared_folder, {"seed": SEED, **SIZES}) as to_do:
        if to_do:
            _write_demo(prepared_folder)


def _write_demo(folder):
    """Writes the clips and the tables of the demo set."""
    rng = np.random.default_rng(SEED)
    clips = []
    drawn = {}
    for split, size in SIZES.items():
        empty = [()] * -(-size // CLIPS_PER_EMPTY)
        for number, indices in enumerate(_draw_classes(rng, size) + empty):
            clip_id = make_id(SEED, split, number)
            mids = tuple(CLASSES[index][0] for index in indices)
            clips.append(Clip(clip_id, None, mids, split, end=CLIP_SECONDS))
            drawn[clip_id] = number, indices
    events = {}

    def generate(clip):
        """Generates a clip; keeps its events."""
        number, indices = drawn[clip.id]
        samples, events[clip.id] = generate_clip(
            SEED, clip.split, number, indices
        )
        return as_int16(samples)

    # Clips of an interrupted preparation would have no events
    shutil.rmtree(os.path.join(folder, AUDIO), ignore_errors=True)
    write_prepared(
        folder,
        clips,
        {mid: name for mid, name, _ in CLASSES},
        sample_rate=RATE,
        convert=generate,
    )
    named = {
        clip.id: [
            (onset, offset, CLASSES[index][1])
            for onset, offset, index in sorted(events[clip.id])
        ]
        for clip in clips
    }
    write_strong_labels(os.path.join(folder, EVENTS), named)


def _draw_classes(rng, num_clips):
    """Draws one to three classes per clip, all classes equally often."""
    queue = []
    drawn = []
    for size in rng.integers(1, 4, num_clips):
        classes = []
        while len(classes) < size:
            if unused := [c for c in queue if c not in classes]:
                classes.append(unused[0])
                queue.remove(unused[0])
            else:
                queue.extend(rng.permutation(len(CLASSES)).tolist())
        drawn.append(sorted(classes))
    return drawn


def make_id(seed, split, number):
    """The id of a clip, which looks like YouTube's."""
    digest = _digest(seed, split, number)
    clip_id = base64.urlsafe_b64encode(digest).decode()[:11]
    if number % 40 == 0:  # some start with a dash
        clip_id = f"-{clip_id[1:]}"
    return clip_id


def _digest(seed, split, number):
    """A checksum that identifies a clip."""
    name = {"train": "balanced_train"}.get(split, split)
    return hashlib.sha1(f"{seed}/{name}/{number}".encode()).digest()


def generate_clip(seed, split, number, classes):
    """Generates a clip with events of some classes, given by their index.

    Without classes, it is silent, or has noise of any level.

    Returns its samples ``[S]`` and its events as onset, offset, both in
    seconds, and class.
    """
    rng = np.random.default_rng(list(_digest(seed, split, number)))
    size = round(CLIP_SECONDS * RATE)
    floor = coloured_noise(rng, size, RATE, 0.7)
    if not classes:
        level = PEAK * 10 ** (rng.uniform(*ROOM_DB) / 20)
        is_silent = rng.uniform() < 0.3
        return floor * (0 if is_silent else level), []
    audio = PEAK * 10 ** (FLOOR_DB / 20) * floor
    events = []
    for index in classes:
        duration = round(rng.uniform(1.5, 8), 3)
        onset = round(rng.uniform(0, CLIP_SECONDS - duration), 3)
        t = np.arange(round(duration * RATE)) / RATE
        event = CLASSES[index][2](rng, t)
        event *= np.clip(np.minimum(t, t[::-1]) / FADE_SECONDS, 0, 1)
        level = PEAK * 10 ** (rng.uniform(*LEVELS_DB) / 20)
        event *= level / np.abs(event).max()
        start = round(onset * RATE)
        audio[start : start + len(t)] += event
        events.append((onset, onset + duration, index))
    return audio, events


def _tone(frequency, t):
    """A sine with a constant frequency, or one frequency per sample."""
    cycles = np.cumsum(np.broadcast_to(frequency, t.shape)) / RATE
    return np.sin(2 * np.pi * cycles)


def _pulses(t, period, on):
    """1 for the first ``on`` seconds of each period, with edges of 4 ms."""
    phase = t % period
    return np.clip(np.minimum(phase, on - phase) / 0.004, 0, 1)


def _struck(t, times, sounds):
    """Places the sounds in turn at the given times (after the fade)."""
    mixed = np.zeros(len(t))
    starts = ((times + FADE_SECONDS) * RATE).astype(int)
    for i, start in enumerate(starts[starts < len(t)]):
        sound = sounds[i % len(sounds)][: len(t) - start]
        mixed[start : start + len(sound)] += sound
    return mixed


def _log_uniform(rng, low, high):
    """A random number whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _sine_wave(rng, t):
    """A steady tone."""
    return _tone(_log_uniform(rng, 150, 4500), t)


def _chirp_tone(rng, t):
    """Repeated sweeps over at least two octaves, all up or all down."""
    phase = (t / rng.uniform(0.4, 1.5)) % 1
    if rng.uniform() < 0.5:
        phase = 1 - phase
    lowest = _log_uniform(rng, 150, 800)
    return _tone(lowest * 2 ** (rng.uniform(2, 3) * phase), t)


def _siren(rng, t):
    """A harsh tone whose pitch rises and falls slowly."""
    middle = _log_uniform(rng, 700, 1000)
    wail = np.sin(2 * np.pi * (t / rng.uniform(1.5, 5) + rng.uniform()))
    frequency = middle * 2 ** (rng.uniform(0.4, 0.7) * wail)
    return sum(_tone(k * frequency, t) / k for k in (1, 2, 3, 4))


def _dial_tone(rng, t):
    """The two steady tones of a telephone before dialling."""
    high = rng.choice([440, 450])
    return _tone(350, t) + rng.uniform(0.7, 1) * _tone(high, t)


def _busy_signal(rng, t):
    """Two tones, on and off for half of a period of 0.5 or 1 s each."""
    period = rng.choice([0.5, 1.0]) * rng.uniform(0.95, 1.05)
    return (_tone(480, t) + _tone(620, t)) * _pulses(t, period, period / 2)


def _dtmf(rng, t):
    """Random digits, each a pair of tones."""
    on = rng.uniform(0.08, 0.16)
    off = rng.uniform(0.06, 0.14)
    digit = (t / (on + off)).astype(int)
    low = rng.choice([697, 770, 852, 941], digit[-1] + 1)[digit]
    high = rng.choice([1209, 1336, 1477], digit[-1] + 1)[digit]
    return (_tone(low, t) + _tone(high, t)) * _pulses(t, on + off, on)


def _smoke_alarm(rng, t):
    """Groups of three shrill beeps of 0.5 s, followed by a pause."""
    beep = _tone(rng.uniform(2900, 3400), t)
    return beep * _pulses(t, 1, 0.5) * (t % 4 < 3)


def _beep(rng, t):
    """Short beeps with longer pauses."""
    on = rng.uniform(0.06, 0.2)
    beep = _tone(_log_uniform(rng, 700, 2500), t)
    return beep * _pulses(t, on * rng.uniform(2.5, 5), on)


def _sonar(rng, t):
    """Long ringing pings with an echo."""
    ring = np.arange(2 * RATE) / RATE
    shape = np.exp(-ring / rng.uniform(0.15, 0.35)) - np.exp(-ring / 0.01)
    ping = _tone(_log_uniform(rng, 700, 1600), ring) * shape
    delay = int(rng.uniform(0.3, 0.6) * RATE)
    ping[delay:] += ping[:-delay] / 4
    return _struck(t, np.arange(0, t[-1], rng.uniform(1.1, 2.2)), [ping])


def _tick_tock(rng, t):
    """Two alternating knocks at a steady pace."""
    ring = np.arange(RATE // 20) / RATE
    decay = np.exp(-ring / rng.uniform(0.003, 0.006))
    tick = rng.uniform(2500, 3500)
    pitches = tick, rng.uniform(0.5, 0.7) * tick
    sounds = [decay * _tone(f, ring) for f in pitches]
    return _struck(t, np.arange(0, t[-1], rng.uniform(0.25, 0.55)), sounds)


def _clicking(rng, t):
    """Clicks shorter than a millisecond at irregular times."""
    ring = np.arange(RATE // 100) / RATE
    noise = rng.standard_normal((8, len(ring)))
    gaps = 0.02 + rng.exponential(rng.uniform(0.04, 0.12), int(t[-1] / 0.02))
    return _struck(t, np.cumsum(gaps) - gaps[0], noise * np.exp(-ring / 0.0006))


def _mains_hum(rng, t):
    """The mains frequency and its harmonics, the second one strongest."""
    mains = rng.choice([50, 60]) * rng.uniform(0.998, 1.002)
    levels = rng.uniform(0.3, 1, 16) * 0.8 ** np.arange(16)
    levels[1] = 1.5
    return sum(a * _tone(mains * (k + 1), t) for k, a in enumerate(levels))


# In AudioSet's order: mid, display name, synthesis
CLASSES = (
    ("/m/02c8p", "Telephone dialing, DTMF", _dtmf),
    ("/m/015jpf", "Dial tone", _dial_tone),
    ("/m/01z47d", "Busy signal", _busy_signal),
    ("/m/03kmc9", "Siren", _siren),
    ("/m/01y3hg", "Smoke detector, smoke alarm", _smoke_alarm),
    ("/m/07qjznl", "Tick-tock", _tick_tock),
    ("/m/0790c", "Sonar", _sonar),
    ("/m/02fs_r", "Beep, bleep", _beep),
    ("/m/07qc9xj", "Clicking", _clicking),
    ("/m/01v_m0", "Sine wave", _sine_wave),
    ("/m/0hdsk", "Chirp tone", _chirp_tone),
    ("/m/06xkwv", "Mains hum", _mains_hum),
    ("/m/0chx_", "White noise", lambda rng, t: rng.standard_normal(len(t))),
    (
        "/m/0cj0r",
        "Pink noise",
        lambda rng, t: coloured_noise(rng, len(t), RATE, 1),
    ),
)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("prepared_folder")
    with one_line_errors():
        prepare_demo(**vars(parser.parse_args()))
