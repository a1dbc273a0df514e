"""A set of synthetic words in the layout of Speech Commands, to try things out.

Authors
 * The speechbrain_fftp authors 2026
"""

import hashlib
import os

import numpy as np
import soundfile as sf
from tqdm.contrib.concurrent import thread_map

from speechbrain.utils.parallel import get_available_cpu_count
from speechbrain_fftp.dataio.prepared import prepare_folder
from speechbrain_fftp.datasets.speech_commands.lists import (
    NOISE_FOLDER,
    SPLIT_LISTS,
)
from speechbrain_fftp.datasets.synthetic.sounds import (
    SAMPLE_RATE,
    coloured_noise,
)
from speechbrain_fftp.datasets.synthetic.speech import WORDS, render_word

CLIP_SAMPLES = SAMPLE_RATE
NOISE_SECONDS = 8
HELD_OUT = 0.15  # fraction of the speakers for validation, and for testing
PEAK = 0.7
LEVELS_DB = (-20, 0)  # of the speakers
FLOORS_DB = (-45, -22)  # of the noise in a clip, relative to its peak


def make_word_set(folder, num_speakers=30, num_takes=2, seed=0):
    """Generates synthetic words; the same settings give the same files.

    Writes ``WORD/SPEAKER_nohash_TAKE.wav`` (14 words, 1 s, 16 kHz, mono), three
    recordings in ``_background_noise_``, ``validation_list.txt`` and
    ``testing_list.txt`` (each about 15 % of the speakers). A complete folder is
    kept; one made with other settings raises a ``ValueError``.
    """
    settings = {"content": "synthetic words", "version": 1, "seed": seed}
    settings.update(num_speakers=num_speakers, num_takes=num_takes)
    if num_speakers < 3 or num_takes < 1:
        raise ValueError(
            "At least three speakers and one take of each word are needed:"
            f" {settings}"
        )
    lists, parts = SPLIT_LISTS.values(), (*WORDS, NOISE_FOLDER)
    with prepare_folder(folder, settings, None, lists, parts) as todo:
        if todo:
            _write_words(folder, num_speakers, num_takes, seed)
            _write_noise(os.path.join(folder, NOISE_FOLDER), seed)


def _write_words(folder, num_speakers, num_takes, seed):
    """Writes the clips of all words, and the lists of held-out speakers."""
    keys = (f"{seed}/speaker/{i}" for i in range(num_speakers))
    speakers = [hashlib.sha1(key.encode()).hexdigest()[:8] for key in keys]
    held_out = max(round(HELD_OUT * num_speakers), 1)
    listed = {"valid": speakers[:held_out]}
    listed["test"] = speakers[held_out : 2 * held_out]
    for name in (*WORDS, NOISE_FOLDER):
        os.mkdir(os.path.join(folder, name))
    jobs = [
        (folder, seed, word, speaker, take)
        for word in WORDS
        for speaker in speakers
        for take in range(num_takes)
    ]
    threads = {"max_workers": get_available_cpu_count(), "desc": "words"}
    paths = thread_map(_write_word, jobs, **threads)
    for split, name in SPLIT_LISTS.items():
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8", newline="") as file:
            for path, (*_, speaker, _) in zip(paths, jobs):
                if speaker in listed[split]:
                    file.write(f"{path}\n")


def _rng(*key):
    """A random generator seeded by a key."""
    digest = hashlib.sha1("/".join(map(str, key)).encode()).digest()
    return np.random.default_rng(list(digest))


def _write_word(job):
    """Synthesises and writes a clip; returns its path."""
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
    """Writes the background recordings."""
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
