"""Synthetic words in the layout of Speech Commands, to try things out.

They are pulses and noise through moving resonances; a table gives the parts of
each phone. No recording of speech is in them, and results on such words say
nothing about speech.

Authors
 * The speechbrain_fftp authors 2026
"""

import itertools
import os
from pathlib import Path
from typing import NamedTuple, Optional, Tuple

import numpy as np
import soundfile as sf
from scipy import signal
from tqdm.contrib.concurrent import thread_map

from speechbrain.utils.parallel import get_available_cpu_count
from speechbrain_fftp.datasets.demo import SAMPLE_RATE, coloured_noise
from speechbrain_fftp.datasets.names import seeded_rng, text_digest
from speechbrain_fftp.datasets.prepared import prepare_folder
from speechbrain_fftp.datasets.speech_commands import lists

CLIP_SAMPLES = SAMPLE_RATE
NOISE_SECONDS = 8
HELD_OUT = 0.15  # fraction of the speakers for validation, and for testing
PEAK = 0.7
LEVELS_DB = (-20, 0)  # of the speakers
FLOORS_DB = (-45, -22)  # of the noise in a clip, relative to its peak
FRAME = 160  # samples with constant resonances
BANDWIDTHS = (70.0, 100.0, 160.0, 280.0)  # of the resonances, in Hz
FOURTH_FORMANT = 3500.0  # in Hz, the same for all phones


def make_word_set(folder, num_speakers=30, num_takes=2, seed=0):
    """Generates synthetic words; the same settings give the same files.

    Writes ``WORD/SPEAKER_nohash_TAKE.wav`` (14 words, 1 s, 16 kHz, mono), three
    recordings in ``_background_noise_``, ``validation_list.txt`` and
    ``testing_list.txt`` (each about 15 % of the speakers).
    """
    settings = {"content": "synthetic words", "version": 1, "seed": seed}
    settings.update(num_speakers=num_speakers, num_takes=num_takes)
    if num_speakers < 3 or num_takes < 1:
        least = "At least three speakers and one take of each word are needed"
        raise ValueError(f"{least}: {settings}")
    tables, parts = lists.SPLIT_LISTS.values(), (*WORDS, lists.NOISE_FOLDER)
    with prepare_folder(folder, settings, None, tables, parts) as todo:
        if todo:
            _write_words(folder, num_speakers, num_takes, seed)
            _write_noise(os.path.join(folder, lists.NOISE_FOLDER), seed)


def _write_words(folder, num_speakers, num_takes, seed):
    """Writes the clips of all words, and the lists of held-out speakers."""
    keys = (f"{seed}/speaker/{i}" for i in range(num_speakers))
    speakers = [text_digest(key)[:8] for key in keys]
    held_out = max(round(HELD_OUT * num_speakers), 1)
    listed = {"valid": speakers[:held_out]}
    listed["test"] = speakers[held_out : 2 * held_out]
    for name in (*WORDS, lists.NOISE_FOLDER):
        os.mkdir(os.path.join(folder, name))
    takes = range(num_takes)
    jobs = [*itertools.product([folder], [seed], WORDS, speakers, takes)]
    threads = {"max_workers": get_available_cpu_count(), "desc": "words"}
    clips = thread_map(_write_word, jobs, **threads)
    for split, name in lists.SPLIT_LISTS.items():
        own = (f"{c}\n" for c, j in zip(clips, jobs) if j[3] in listed[split])
        Path(folder, name).write_text("".join(own), "utf-8", newline="")


def _write_word(job):
    """Synthesises and writes a clip; returns its path."""
    folder, seed, word, speaker, take = job
    speaker_rng = seeded_rng(seed, speaker)
    level = 10 ** (speaker_rng.uniform(*LEVELS_DB) / 20)
    rng = seeded_rng(seed, word, speaker, take)
    audio = render_word(word, speaker_rng, rng)[:CLIP_SAMPLES]
    clip = 10 ** (rng.uniform(*FLOORS_DB) / 20) / 3
    clip = clip * coloured_noise(rng, CLIP_SAMPLES, rng.uniform(0, 1.5))
    start = rng.integers(CLIP_SAMPLES - len(audio) + 1)
    clip[start : start + len(audio)] += audio
    clip *= PEAK * level / np.abs(clip).max()
    path = f"{word}/{speaker}_nohash_{take}.wav"
    sf.write(os.path.join(folder, path), clip, SAMPLE_RATE, "PCM_16")
    return path


def _write_noise(folder, seed):
    """Writes the background recordings."""
    rng = seeded_rng(seed, "noise")
    size = NOISE_SECONDS * SAMPLE_RATE
    t = np.arange(size) / SAMPLE_RATE
    hum = sum(np.sin(2 * np.pi * 50 * k * t) / k for k in range(1, 12))
    recordings = {
        "white_noise": coloured_noise(rng, size, 0),
        "pink_noise": coloured_noise(rng, size, 1),
        "hum": hum + 0.1 * coloured_noise(rng, size, 1),
    }
    for name, samples in recordings.items():
        path = os.path.join(folder, f"{name}.wav")
        samples = 0.5 * samples / np.abs(samples).max()
        sf.write(path, samples, SAMPLE_RATE, "PCM_16")


class PhonePart(NamedTuple):
    """A stretch of a word: its length, sources and first three resonances."""

    seconds: float
    voice: float = 0.0  # strength of the glottal pulses
    breath: float = 0.0  # strength of the noise through the resonances
    hiss: float = 0.0  # strength of the band-limited noise
    band: Tuple[float, float] = (0.0, 0.0)  # of the hiss, in Hz
    # In Hz; None: those of the next part that has some
    formants: Optional[Tuple[float, float, float]] = None


def _vowel(seconds, *formants, voice=1.0):
    """A voiced part."""
    return PhonePart(seconds, voice=voice, breath=0.02, formants=formants)


def _stop(low, high, breath=0.0, voice=0.0):
    """A closure, a burst between two frequencies, and optional breath."""
    burst = PhonePart(0.015, hiss=0.5, band=(low, high))
    rest = PhonePart(0.035 if breath else 0.005, breath=breath)
    return PhonePart(0.05, voice=voice), burst, rest


# Each phone is a row of parts
PHONES = {
    "i": (_vowel(0.16, 270, 2290, 3010),),
    "e": (_vowel(0.15, 530, 1840, 2480),),
    "ae": (_vowel(0.16, 660, 1720, 2410),),
    "a": (_vowel(0.12, 730, 1090, 2440),),
    "o": (_vowel(0.18, 570, 840, 2410),),
    "oh": (_vowel(0.12, 450, 800, 2400),),
    "u": (_vowel(0.10, 300, 870, 2240),),
    "uh": (_vowel(0.14, 640, 1190, 2390),),
    "j": (_vowel(0.07, 270, 2250, 3000, voice=0.7),),
    "r": (_vowel(0.08, 350, 1100, 1500, voice=0.7),),
    "l": (_vowel(0.08, 350, 1000, 2600, voice=0.6),),
    "n": (_vowel(0.10, 250, 1500, 2500, voice=0.4),),
    "h": (PhonePart(0.08, breath=0.25),),
    "s": (PhonePart(0.15, hiss=0.25, band=(4000, 7500)),),
    "f": (PhonePart(0.13, hiss=0.08, band=(1500, 7500)),),
    "p": _stop(400, 1500, breath=0.15),
    "t": _stop(3000, 6000, breath=0.15),
    "k": _stop(1500, 2800, breath=0.15),
    "b": _stop(400, 1500, voice=0.08),
    "d": _stop(3000, 6000, voice=0.08),
    "g": _stop(1500, 2800, voice=0.08),
}
# Ten commands and four other words, as phones
WORDS = {
    "yes": "j e s",
    "no": "n oh u",
    "up": "uh p",
    "down": "d a u n",
    "left": "l e f t",
    "right": "r a i t",
    "on": "o n",
    "off": "o f",
    "stop": "s t o p",
    "go": "g oh u",
    "bed": "b e d",
    "cat": "k ae t",
    "happy": "h ae p i",
    "tree": "t r i",
}


def render_word(word, speaker_rng, take_rng):
    """Synthesises a word of ``WORDS``, ``[S]`` with a peak of 1.

    ``speaker_rng`` draws the speaker's pitch, size, tempo and accent.
    """
    pitch = np.exp(speaker_rng.uniform(np.log(90), np.log(250)))
    # Small mouths tend to have high voices
    size = (pitch / 150) ** 0.2 * speaker_rng.uniform(0.92, 1.08)
    tempo = speaker_rng.uniform(0.8, 1.25)
    accent = speaker_rng.uniform(0.93, 1.07, (len(PHONES), 3))

    parts, tracks = _phone_parts(word, size, accent, take_rng)
    lengths = [
        round(s.seconds * take_rng.uniform(0.85, 1.2) / tempo * SAMPLE_RATE)
        for s in parts
    ]

    def envelope(values, width):
        """Holds each value for its part, with smooth transitions."""
        held = np.repeat(np.asarray(values, float), lengths, axis=0)
        window = np.hanning(width + 2)[1:-1]
        window /= window.sum()
        padded = np.pad(held, (width // 2, width - 1 - width // 2), "edge")
        return np.convolve(padded, window, "valid")

    num_samples = sum(lengths)
    source = _glottal_pulses(pitch, num_samples, take_rng)
    source *= envelope([s.voice for s in parts], 320)
    noise = take_rng.standard_normal(num_samples)
    source += noise * envelope([s.breath for s in parts], 160)
    formants = [envelope(track, 800) for track in np.transpose(tracks)]
    formants.append(np.full(num_samples, FOURTH_FORMANT * size))
    audio = _resonate(source, np.array(formants).T)

    for i, part in enumerate(parts):
        if part.hiss:
            edges = np.array(part.band) * take_rng.uniform(0.9, 1.05)
            edges = edges.clip(max=0.48 * SAMPLE_RATE)
            band = signal.butter(2, edges, "band", fs=SAMPLE_RATE, output="sos")
            hiss = signal.sosfilt(band, noise)
            hiss *= part.hiss / hiss.std()
            audio += hiss * envelope(np.arange(len(parts)) == i, 80)
    return audio / np.abs(audio).max()


def _phone_parts(word, size, accent, rng):
    """The parts of a word, and the first three formants of each."""
    parts, tracks = [], []
    for phone in WORDS[word].split():
        shift = accent[list(PHONES).index(phone)]
        for part in PHONES[phone]:
            now = size * (shift * rng.uniform(0.96, 1.04, 3))
            parts.append(part)
            tracks.append(part.formants and now * part.formants)
    # Segments without formants take those of the next one, or of the last
    for order in (range(len(tracks) - 2, -1, -1), range(1, len(tracks))):
        for i in order:
            if tracks[i] is None:
                tracks[i] = tracks[i - order.step]
    return parts, tracks


def _glottal_pulses(pitch, num_samples, rng):
    """Pulses of the voice, ``[num_samples]``, along a pitch contour."""
    t = np.linspace(0, 1, num_samples)
    contour = pitch * rng.uniform(0.95, 1.05)
    contour *= 1 + rng.uniform(-0.1, 0.25) * (0.5 - t)
    contour *= 1 + 0.01 * np.sin(2 * np.pi * (5 * t + rng.uniform()))
    phase = np.cumsum(contour) / SAMPLE_RATE % 1
    flow = np.where(phase < 0.6, np.sin(np.pi * phase / 0.6) ** 2, 0)
    return np.diff(flow, prepend=0) * SAMPLE_RATE / pitch / 5


def _resonate(source, formants):
    """Filters a source by resonances ``[S, 4]`` in series, frame by frame."""
    state = np.zeros((formants.shape[1], 2))
    audio = np.empty_like(source)
    radius = np.exp(-np.pi * np.array(BANDWIDTHS) / SAMPLE_RATE)
    for start in range(0, len(source), FRAME):
        angle = 2 * np.pi * formants[start] / SAMPLE_RATE
        first, second = -2 * radius * np.cos(angle), radius**2
        gain, zero, one = 1 + first + second, 0 * radius, radius**0
        sections = np.stack([gain, zero, zero, one, first, second], 1)
        now = slice(start, start + FRAME)
        audio[now], state = signal.sosfilt(sections, source[now], zi=state)
    return audio
