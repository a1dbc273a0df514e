"""A set of synthetic words in the shape of Speech Commands.

No recording of speech is in it: pulses and noise go through resonances that
move as those of a mouth would, after a table of sounds. It is for trying things
out; results on it say nothing about speech.

Authors
 * The speechbrain_fftp authors 2026
"""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Optional, Tuple

import numpy as np
import soundfile as sf
from scipy import signal

from speechbrain.utils.parallel import get_available_cpu_count, parallel_map
from speechbrain_fftp.dataio.prepared import generate_folder
from speechbrain_fftp.datasets.speech_commands.lists import LISTS, NOISE_FOLDER
from speechbrain_fftp.datasets.synthetic.sounds import (
    SAMPLE_RATE,
    coloured_noise,
)

CLIP_SAMPLES = SAMPLE_RATE
NOISE_SECONDS = 8
FRAME = 160  # samples for which the resonances stand still
BANDWIDTHS = (70.0, 100.0, 160.0, 280.0)  # of the resonances, in Hz
FOURTH = 3500.0  # resonance, the same for all sounds
PEAK = 0.7
LEVELS_DB = (-20, 0)  # of the speakers
FLOORS_DB = (-45, -22)  # of the noise in a clip, against its peak


class Sound(NamedTuple):
    """A stretch of a word in which nothing changes but by transition.

    Arguments
    ---------
    seconds : float
        How long it takes.
    voice : float
        Strength of the pulses.
    breath : float
        Strength of noise that goes through the resonances.
    hiss : float
        Strength of noise in a band.
    band : tuple of float
        That band, in Hz.
    formants : tuple of float, optional
        The first three resonances, in Hz; without them, those of the next
        sound that has some.

    Example
    -------
    >>> Sound(0.1, hiss=0.3, band=(4000, 7500)).voice
    0.0
    """

    seconds: float
    voice: float = 0.0
    breath: float = 0.0
    hiss: float = 0.0
    band: Tuple[float, float] = (0.0, 0.0)
    formants: Optional[Tuple[float, float, float]] = None


def _vowel(seconds, *formants, voice=1.0):
    """A sound that the voice makes."""
    return Sound(seconds, voice=voice, breath=0.02, formants=formants)


def _stop(low, high, breath=0.0, voice=0.0):
    """The mouth is shut, opens with a burst and, maybe, some breath."""
    burst = Sound(0.015, hiss=0.5, band=(low, high))
    return (
        Sound(0.05, voice=voice),
        burst,
        Sound(0.035 if breath else 0.005, breath=breath),
    )


SOUNDS = {
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
    "h": (Sound(0.08, breath=0.25),),
    "s": (Sound(0.15, hiss=0.25, band=(4000, 7500)),),
    "f": (Sound(0.13, hiss=0.08, band=(1500, 7500)),),
    "p": _stop(400, 1500, breath=0.15),
    "t": _stop(3000, 6000, breath=0.15),
    "k": _stop(1500, 2800, breath=0.15),
    "b": _stop(400, 1500, voice=0.08),
    "d": _stop(3000, 6000, voice=0.08),
    "g": _stop(1500, 2800, voice=0.08),
}
# Ten commands, and four others
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


def make_word_set(folder, num_speakers=30, num_takes=2, seed=0):
    """Generates a set of synthetic words in the layout of Speech Commands.

    Writes ``WORD/SPEAKER_nohash_TAKE.wav`` (14 words, 1 s, 16 kHz, mono), three
    recordings in ``_background_noise_``, ``validation_list.txt`` and
    ``testing_list.txt`` (each about 15 % of the speakers) and, with the
    settings, ``word_set.json``. The same settings give the same files. The
    folder appears when all is written; if it is there already, nothing is done.

    Arguments
    ---------
    folder : str
        Folder to write. Its name with ``.partial`` is used on the way.
    num_speakers : int
        Number of speakers, at least three.
    num_takes : int
        How often each speaker says each word.
    seed : int
        Seed of all that is random.

    Raises
    ------
    ValueError
        If the numbers are too small, or the folder holds something else than
        this set.

    Example
    -------
    >>> folder = getfixture("tmpdir") / "words"
    >>> make_word_set(folder, num_speakers=3, num_takes=1)
    >>> len((folder / "yes").listdir())
    3
    """
    settings = {
        "version": 1,
        "seed": seed,
        "num_speakers": num_speakers,
        "num_takes": num_takes,
    }
    if num_speakers < 3 or num_takes < 1:
        raise ValueError(
            "At least three speakers and one take of each word are needed:"
            f" {settings}"
        )
    speakers = [
        hashlib.sha1(f"{seed}/speaker/{i}".encode()).hexdigest()[:8]
        for i in range(num_speakers)
    ]
    held_out = max(round(0.15 * num_speakers), 1)
    listed = {
        "valid": speakers[:held_out],
        "test": speakers[held_out : 2 * held_out],
    }

    def write(partial):
        """Writes clips, lists and noise."""
        for name in (*WORDS, NOISE_FOLDER):
            os.mkdir(os.path.join(partial, name))
        jobs = [
            (partial, seed, word, speaker, take)
            for word in WORDS
            for speaker in speakers
            for take in range(num_takes)
        ]
        with ThreadPoolExecutor(get_available_cpu_count()) as pool:
            paths = list(
                parallel_map(
                    _write_word,
                    jobs,
                    executor=pool,
                    progress_bar_kwargs={"desc": "words", "total": len(jobs)},
                )
            )
        for split, name in LISTS.items():
            lines = [
                f"{path}\n"
                for path, (*_, speaker, _) in zip(paths, jobs)
                if speaker in listed[split]
            ]
            path = os.path.join(partial, name)
            with open(path, "w", encoding="utf-8", newline="") as file:
                file.writelines(lines)
        _write_noise(os.path.join(partial, NOISE_FOLDER), seed)

    generate_folder(folder, "word_set.json", settings, write)


def render_word(word, speaker_rng, take_rng):
    """Synthesises a word.

    Arguments
    ---------
    word : str
        One of ``WORDS``.
    speaker_rng : numpy.random.Generator
        Gives what stays the same for a speaker: pitch, size and tempo.
    take_rng : numpy.random.Generator
        Gives what differs each time.

    Returns
    -------
    numpy.ndarray
        Samples ``[S]`` of the word, with a peak of 1.

    Example
    -------
    >>> rngs = np.random.default_rng(0), np.random.default_rng(1)
    >>> word = render_word("yes", *rngs)
    >>> 4000 < len(word) < 12000
    True
    """
    pitch = np.exp(speaker_rng.uniform(np.log(90), np.log(250)))
    # Small mouths have high voices, more or less
    size = (pitch / 150) ** 0.2 * speaker_rng.uniform(0.92, 1.08)
    tempo = speaker_rng.uniform(0.8, 1.25)
    accent = speaker_rng.uniform(0.93, 1.07, (len(SOUNDS), 3))

    names = WORDS[word].split()
    sounds, tracks = [], []
    for name in names:
        shift = accent[list(SOUNDS).index(name)]
        for sound in SOUNDS[name]:
            shift_now = shift * take_rng.uniform(0.96, 1.04, 3)
            sounds.append(sound)
            tracks.append(
                None
                if sound.formants is None
                else size * shift_now * sound.formants
            )
    lengths = [
        round(s.seconds * take_rng.uniform(0.85, 1.2) / tempo * SAMPLE_RATE)
        for s in sounds
    ]
    # Of those without resonances of their own: the next ones, or the last
    for order in (range(len(tracks) - 2, -1, -1), range(1, len(tracks))):
        for i in order:
            if tracks[i] is None:
                tracks[i] = tracks[i + (1 if order.step < 0 else -1)]

    def envelope(values, width):
        """Holds each value as long as its sound, with soft transitions."""
        held = np.repeat(np.asarray(values, float), lengths, axis=0)
        window = np.hanning(width + 2)[1:-1]
        window /= window.sum()
        padded = np.pad(held, (width // 2, width - 1 - width // 2), "edge")
        return np.convolve(padded, window, "valid")

    size_in_samples = sum(lengths)
    t = np.linspace(0, 1, size_in_samples)
    contour = pitch * take_rng.uniform(0.95, 1.05)
    contour *= 1 + take_rng.uniform(-0.1, 0.25) * (0.5 - t)
    contour *= 1 + 0.01 * np.sin(2 * np.pi * (5 * t + take_rng.uniform()))
    phase = np.cumsum(contour) / SAMPLE_RATE % 1
    flow = np.where(phase < 0.6, np.sin(np.pi * phase / 0.6) ** 2, 0)
    source = np.diff(flow, prepend=0) * SAMPLE_RATE / pitch / 5
    source *= envelope([s.voice for s in sounds], 320)
    noise = take_rng.standard_normal(size_in_samples)
    source += noise * envelope([s.breath for s in sounds], 160)
    formants = [
        envelope([track[k] for track in tracks], 800) for k in (0, 1, 2)
    ]
    formants.append(np.full(size_in_samples, FOURTH * size))
    audio = _resonate(source, np.array(formants).T)

    for i, sound in enumerate(sounds):
        if sound.hiss:
            edges = np.array(sound.band) * take_rng.uniform(0.9, 1.05)
            edges = edges.clip(max=0.48 * SAMPLE_RATE)
            band = signal.butter(2, edges, "band", fs=SAMPLE_RATE, output="sos")
            hiss = signal.sosfilt(band, noise)
            hiss *= sound.hiss / hiss.std()
            audio += hiss * envelope(np.arange(len(sounds)) == i, 80)
    return audio / np.abs(audio).max()


def _resonate(source, formants):
    """Sends a source through resonances in a row, frame by frame."""
    state = np.zeros((formants.shape[1], 2))
    audio = np.empty_like(source)
    radius = np.exp(-np.pi * np.array(BANDWIDTHS) / SAMPLE_RATE)
    for start in range(0, len(source), FRAME):
        angle = 2 * np.pi * formants[start] / SAMPLE_RATE
        first, second = -2 * radius * np.cos(angle), radius**2
        sections = np.zeros((len(radius), 6))
        sections[:, 0] = 1 + first + second
        sections[:, 3] = 1
        sections[:, 4], sections[:, 5] = first, second
        part = slice(start, start + FRAME)
        audio[part], state = signal.sosfilt(sections, source[part], zi=state)
    return audio


def _rng(*what):
    """A source of randomness that depends on what it is for."""
    digest = hashlib.sha1("/".join(map(str, what)).encode()).digest()
    return np.random.default_rng(list(digest))


def _write_word(job):
    """Synthesises and writes a clip; gives its path."""
    folder, seed, word, speaker, take = job
    speaker_rng = _rng(seed, speaker)
    level = 10 ** (speaker_rng.uniform(*LEVELS_DB) / 20)
    rng = _rng(seed, word, speaker, take)
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
    """Writes the recordings of the background."""
    rng = _rng(seed, "noise")
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
