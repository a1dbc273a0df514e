#!/usr/bin/env python3
"""Mixes real sounds into clips of 10 s for the starter model.

> python recipes/Starter/starter_prepare.py DATA PREPARED_FOLDER

Everyday sounds (DATA/esc10), notes of instruments (DATA/audioset_mini) and
spoken words (DATA/speech_commands), see docs/data.md, start at random times and
levels over recorded or generated noise; a few clips have noise alone. Parts of
sounds are used, at a random speed. ``events.tsv`` has onsets and offsets,
``attribution.csv`` the authors and licences of the recordings.

The recordings are in five folds: those of ESC-10; instruments by recording
session, words by speaker. One fold is for the evaluation, the next one for
validation. The clips of a split are made of its recordings and noises alone.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import csv
import logging
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.fft
import soxr

from speechbrain_fftp.dataio.audio import read_audio
from speechbrain_fftp.dataio.clips import CLIP_SECONDS, Clip, as_int16
from speechbrain_fftp.dataio.errors import InputError, one_line_errors
from speechbrain_fftp.dataio.files import write_csv
from speechbrain_fftp.dataio.prepared import PACKS, preparing, write_prepared
from speechbrain_fftp.datasets.audioset import read_classes
from speechbrain_fftp.datasets.names import text_digest
from speechbrain_fftp.datasets.word_splits import (
    NOISE_FOLDER,
    SILENCE,
    UNKNOWN,
    speaker_of,
)

RATE = 16000
FOLDS = 5
SESSION = 20  # maximum gap of Freesound's ids within a recording session
# Two clips whose licence, Sampling+, does not fit a model that is given away
EXCLUDED = ("1-40730-A.flac", "2-96460-A.flac")

SPEECH = "/m/09x0r"
# Mids of AudioSet
MIDS = {
    "dog_bark": "/m/0bt9lr",
    "rooster": "/m/09b5t",
    "rain": "/m/06mb1",
    "sea_waves": "/m/034srq",
    "fire_crackling": "/m/02_41",
    "baby_cry": "/t/dd00002",
    "person_sneeze": "/m/01hsr_",
    "clock_tick": "/m/07qjznl",
    "helicopter": "/m/09ct_",
    "chainsaw": "/m/01j4z9",
    "Acoustic_guitar": "/m/042v_gx",
    "Bass_drum": "/m/0bm02",
    "Cello": "/m/01xqw",
    "Clarinet": "/m/01wy6",
    "Double_bass": "/m/02fsn",
    "Flute": "/m/0l14j_",
    "Hi_hat": "/m/03qtq",
    "Saxophone": "/m/06ncr",
    "Snare_drum": "/m/06rvn",
    "Violin_or_fiddle": "/m/07y_7",
}
# In AudioSet's order
CLASSES = {
    mid: name
    for mid, name in read_classes().items()
    if mid in (SPEECH, *MIDS.values())
}
# Learnt as well, but no classes of the model that is given away
WORDS = "down go left no off on right stop up yes".split()
WORD_NAME = "Word: {}"
SPEECH_WEIGHT = 4  # Speech is drawn so many times as often as another class

MOST_SOUNDS = 6  # of a clip
EMPTY = 0.05  # fraction of the clips without sounds
SECONDS = (0.5, 5.0)  # maximum length of a sound in a clip
SPEED = (0.87, 1.15)
SNR_DB = (6, 30)
NOISE_LEVEL = (0.002, 0.02)  # RMS
LOUD_DB = 20  # a part of a sound begins at most so much below its loudest 10 ms
QUIET_DB = 30  # and ends where it stays so much below it
FADE = RATE // 100
GENERATED = (0.0, 0.5, 1.0, 1.5, 2.0)  # noises for training: power ~ 1 / f ** x


class Sound(NamedTuple):
    """A recording of one sound."""

    path: Path
    labels: tuple  # ids of its classes; a word has its own, and Speech
    fold: int


def prepare_starter(
    data,
    prepared_folder,
    *,
    test_fold=5,
    leave_out=(),
    num_train=20000,
    num_valid=500,
    num_eval=500,
    seed=0,
):
    """Mixes the clips into a prepared folder, unless it exists.

    Arguments
    ---------
    data : str
        Folder of esc10, audioset_mini and speech_commands.
    prepared_folder : str
        Folder to write to.
    test_fold : int
        1 to 5, the recordings of the evaluation; those of the next fold, after
        5 of fold 1, are for validation.
    leave_out : list of str
        Sounds that are not used, such as dog_bark, Cello or yes.
    num_train, num_valid, num_eval : int
        Number of clips.
    seed : int
        Seed of the mixtures.

    Raises
    ------
    InputError
        If the folder holds other data, or a sound to leave out is unknown.
    """
    sizes = {"train": num_train, "valid": num_valid, "eval": num_eval}
    settings = {
        "seed": seed,
        "test_fold": test_fold,
        "leave_out": sorted(leave_out),
        **sizes,
    }
    with preparing(prepared_folder, settings) as to_do:
        if to_do:
            mixer = Mixer(Path(data), test_fold, leave_out, seed)
            write_mixtures(prepared_folder, mixer, sizes)
            write_attribution(Path(data), Path(prepared_folder))


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

    # Packs of an interrupted preparation may be of other settings
    shutil.rmtree(Path(folder, PACKS), ignore_errors=True)
    write_prepared(
        folder,
        [
            Clip(
                clip_id,
                None,
                tuple(sorted({x for e in drawn.events for x in e.labels})),
                drawn.split,
                end=CLIP_SECONDS,
            )
            for clip_id, drawn in clips.items()
        ],
        mixer.classes,
        sample_rate=RATE,
        convert=convert,
    )
    with open(
        Path(folder, "events.tsv"), "w", newline="", encoding="utf-8"
    ) as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(("filename", "onset", "offset", "event_label"))
        for clip_id, drawn in clips.items():
            for event in drawn.events:
                onset, offset = event.start / RATE, event.end / RATE
                for label in event.labels:
                    name = mixer.classes[label]
                    table.writerow(
                        (clip_id, f"{onset:.3f}", f"{offset:.3f}", name)
                    )
            if not drawn.events:  # a clip without events is listed, too
                table.writerow((clip_id, "", "", ""))


def write_attribution(data, folder):
    """Writes attribution.csv: where the recordings are from."""
    rows = [
        ("Speech Commands v0.02", "", "", "Google", "CC BY 4.0"),
    ]
    for name, columns in (
        ("esc10/attribution.csv", ("title", "author")),
        ("audioset_mini/clips.csv", ("source_clip", None)),
    ):
        with open(data / name, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row.get("file") not in EXCLUDED:
                    title, author = (row.get(x, "") for x in columns)
                    number = row["freesound_id"]
                    origin = name.partition("/")[0]
                    rows.append((origin, number, title, author, row["license"]))
    header = ("origin", "freesound_id", "title", "author", "license")
    write_csv(folder / "attribution.csv", header, rows)


class Event(NamedTuple):
    """A part of a sound in a clip; times in samples."""

    labels: tuple
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
    data, test_fold, leave_out, seed
        See ``prepare_starter``.

    Attributes
    ----------
    classes : dict
        Names by id; those of words come last.
    """

    def __init__(self, data, test_fold, leave_out, seed):
        self.seed = seed
        known = {*MIDS, *WORDS}
        if wrong := set(leave_out) - known:
            raise InputError(f"leave_out: {wrong.pop()} is none of {known}.")
        out = {class_of(name) for name in leave_out}
        sounds = [
            *list_everyday(data / "esc10"),
            *list_instruments(data / "audioset_mini"),
            *list_words(data / "speech_commands"),
        ]
        sounds = [x for x in sounds if out.isdisjoint(x.labels)]
        words = {class_of(word): WORD_NAME.format(word) for word in WORDS}
        self.classes = {
            x: name for x, name in {**CLASSES, **words}.items() if x not in out
        }
        noises = list_noises(data / "speech_commands")
        # By split and class, which is the first label of a word
        self.sounds, self.noises = {}, {}
        for split, folds in split_folds(test_fold).items():
            by_class = self.sounds[split] = {}
            for sound in sounds:
                if sound.fold in folds:
                    wav = read_audio(sound.path, RATE)
                    of_class = by_class.setdefault(sound.labels[-1], [])
                    of_class.append((sound.labels, *loud_part(wav)))
            self.noises[split] = [
                read_audio(path, RATE)
                for number, path in enumerate(noises)
                if number % FOLDS + 1 in folds
            ]
        rng = np.random.default_rng(seed)
        self.noises["train"] += [coloured_noise(rng, x) for x in GENERATED]

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
        weights = [SPEECH_WEIGHT if x == SPEECH else 1 for x in by_class]
        weights = np.divide(weights, sum(weights))
        for label in rng.choice(
            list(by_class), rng.integers(1, MOST_SOUNDS + 1), p=weights
        ):
            event = draw_event(rng, by_class[label], length)
            if not any(
                x.labels[-1] == label
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
            wav = soxr.resample(event.wav, event.speed * RATE, RATE)
            size = event.end - event.start
            wav = np.pad(wav, (0, max(size - len(wav), 0)))[:size]
            edge = np.linspace(0, 1, FADE, dtype=np.float32)
            wav[:FADE] *= edge
            wav[-FADE:] *= edge[::-1]
            wav *= drawn.level * 10 ** (event.snr / 20) / max(wav.std(), 1e-6)
            mixed[event.start : event.end] += wav
        return mixed / max(1.0, np.abs(mixed).max())


def draw_event(rng, sounds, length):
    """Draws a part of one of the sounds, and where it is in a clip."""
    labels, wav, starts = sounds[rng.integers(len(sounds))]
    first = starts[rng.integers(len(starts))]
    size = round(np.exp(rng.uniform(*np.log(SECONDS))) * RATE)
    if len(labels) > 1:  # a whole word
        first, size = 0, len(wav)
    wav = end_part(wav[first : first + size])
    speed = rng.uniform(*SPEED)
    size = int(len(wav) / speed)
    start = int(rng.integers(length - size))
    return Event(labels, wav, speed, start, start + size, rng.uniform(*SNR_DB))


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


def coloured_noise(rng, exponent, seconds=30):
    """Noise ``[S]`` with power ~ 1 / f ** exponent."""
    spectrum = scipy.fft.rfft(rng.standard_normal(seconds * RATE))
    frequency = scipy.fft.rfftfreq(seconds * RATE, 1 / RATE)
    spectrum *= np.maximum(frequency, 20) ** (-exponent / 2)
    return scipy.fft.irfft(spectrum).astype(np.float32)


def split_folds(test_fold):
    """The folds of each split."""
    valid = test_fold % FOLDS + 1
    others = set(range(1, FOLDS + 1)) - {test_fold, valid}
    return {"train": others, "valid": {valid}, "eval": {test_fold}}


def class_of(name):
    """The id of a class, by the name of a sound."""
    return MIDS.get(name, f"word/{name}")


def list_everyday(folder):
    """The sounds of ESC-10, in its own folds."""
    with open(folder / "esc10.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["file"] not in EXCLUDED:
                path = folder / "audio" / row["file"]
                yield Sound(path, (MIDS[row["label"]],), int(row["fold"]))


def list_instruments(folder):
    """The notes; the sessions of an instrument are dealt to folds in turn."""
    with open(folder / "clips.csv", newline="", encoding="utf-8") as file:
        rows = [
            (row["source_label"], int(row["freesound_id"]), row["ytid"])
            for row in csv.DictReader(file)
        ]
    last_label, last_number, session = None, 0, 0
    for label, number, clip_id in sorted(rows):
        if label != last_label:
            session = 0
        elif number - last_number > SESSION:
            session += 1
        last_label, last_number = label, number
        path = folder / "audio" / f"{clip_id}.flac"
        yield Sound(path, (MIDS[label],), session % FOLDS + 1)


def list_words(folder):
    """The words; speakers are dealt to folds by their hash."""
    for path in sorted(folder.glob("*/*.*")):
        word = path.parent.name
        if word in (SILENCE, NOISE_FOLDER):
            continue
        speaker = speaker_of(f"{word}/{path.name}")
        fold = int(text_digest(speaker), 16) % FOLDS + 1
        labels = (SPEECH,) if word == UNKNOWN else (class_of(word), SPEECH)
        yield Sound(path, labels, fold)


def list_noises(folder):
    """The recordings of noise, dealt to folds in turn."""
    found = sorted(Path(folder, NOISE_FOLDER).iterdir())
    return [path for path in found if path.suffix in (".flac", ".wav")]


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data")
    parser.add_argument("prepared_folder")
    parser.add_argument(
        "--test_fold", type=int, choices=range(1, FOLDS + 1), default=5
    )
    parser.add_argument("--leave_out", nargs="*", default=())
    parser.add_argument("--num_train", type=int, default=20000)
    parser.add_argument("--num_valid", type=int, default=500)
    parser.add_argument("--num_eval", type=int, default=500)
    with one_line_errors():
        prepare_starter(**vars(parser.parse_args()))
