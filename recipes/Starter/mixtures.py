"""Mixtures of recordings, and what a teacher says of them.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools

import numpy as np
import soxr
import torch

from fftp_tag import AudioTagger
from fftp_tag.audio.mixing import (
    add_sound,
    change_speed,
    coloured_noise,
    from_decibels,
)
from fftp_tag.data.clips import as_int16
from fftp_tag.errors import InputError
from speechbrain.dataio import audio_io

SOUNDS = (0.5, 0.3, 0.2)  # probabilities of one, two, ... recordings
SPEED = (0.8, 1.25)
TILT = 0.3  # of a sample, that is added to or taken from the next: 6 dB at most
LEVEL_DB = (-35, -10)  # of the loudest recording, relative to full scale
QUIETER_DB = 20  # at most, of the others
AUDIBLE_DB = 10  # so much quieter, a recording's true classes are targets
TRUE = 0.9  # their least target
NOISY = 0.5  # fraction of the mixtures that have noise
NOISE_DB = (-50, -15)  # relative to the loudest recording
BACKGROUND_DB = (-30, -15)  # of a recording behind, relative to the loudest
EXPONENTS = (0.0, 0.5, 1.0, 1.5, 2.0)  # of noises: power ~ 1 / f ** exponent
NOISE_SECONDS = 30  # of each
FADE = 160  # samples
FIRST = 64  # clips that tell how often a class is heard
LEAST = 1e-5  # probability of a class that is never heard there


class Teacher:
    """A tagger whose answers are learnt.

    Arguments
    ---------
    source : str
        See ``AudioTagger.from_pretrained``.
    rate : int
        Sampling rate of the waveforms in Hz.
    """

    def __init__(self, source, rate):
        self.model = AudioTagger.from_pretrained(source, threads=1).model
        self.rate = rate

    def answer(self, wav):
        """Probabilities ``[C]`` and the embedding ``[E]`` of samples ``[S]``."""
        wav = soxr.resample(wav, self.rate, self.model.sample_rate)
        outputs = ["probabilities", "embeddings"]
        probs, embeddings = self.model.run(outputs, wav[None])
        return torch.tensor(probs[0]), torch.tensor(embeddings[0])


class Mixtures(torch.utils.data.Dataset):
    """Clips by number, each mixed of recordings that its number draws.

    A clip has ``sig`` ``[S]`` in 16 bits; the teacher's ``targets`` ``[C]`` and
    ``embedding`` ``[E]`` of it; and, of ``parts`` ``[P, 2]`` (start and end in
    seconds), the teacher's ``part_targets`` ``[P, C]``.

    Arguments
    ---------
    data : dict
        The recordings by id: rows of a manifest.
    teacher : str
        See ``Teacher``.
    size : int
        Number of clips that count as an epoch.
    seed : int
        Seed of all clips.
    sample_rate : int
        Sampling rate of the recordings in Hz.
    weights : dict, optional
        How often folders are drawn from, by their names: 1 for all others.
    seconds : float
        Length of a clip.
    part_seconds : float
        Length of a part.
    num_parts : int
        Number of parts of a clip.
    background_folders : list of str, optional
        Whose recordings may be behind others, by default all folders.
    is_mixed : bool
        Whether clips are mixed; otherwise, each is one recording.

    What recordings leave empty has another behind it, quiet and as long as the
    clip, if there is one: in zeros, teachers hear silence.
    """

    def __init__(
        self,
        data,
        teacher,
        *,
        size,
        seed,
        sample_rate,
        weights=None,
        seconds=5.0,
        part_seconds=1.5,
        num_parts=1,
        background_folders=None,
        is_mixed=True,
    ):
        self.data = data
        self.rows = list(data.values())
        folders, given = group_by_folder(data), weights or {}
        if unknown := set(given) - set(folders):
            raise InputError(
                f"folder_weights: {', '.join(sorted(unknown))} is none of the "
                f"folders {', '.join(folders)}."
            )
        self.folders = list(folders.values())
        weights = np.array([given.get(folder, 1) for folder in folders])
        self.shares = weights / weights.sum()
        self.source, self.size, self.seed = teacher, size, seed
        self.rate = sample_rate
        self.length = round(seconds * sample_rate)
        self.part_length = round(part_seconds * sample_rate)
        self.backgrounds = [
            number
            for folder in background_folders or folders
            for number in folders.get(folder, ())
            if int(self.rows[number]["stop"]) - int(self.rows[number]["start"])
            >= self.length
        ]
        self.num_parts = num_parts
        self.is_mixed = is_mixed
        # Of the teacher, to clips by number; and which numbers, of one epoch
        self.answers, self.block = {}, None

    def __len__(self):
        return self.size

    @functools.cached_property
    def teacher(self):
        """The teacher, which each worker loads for itself."""
        return Teacher(self.source, self.rate)

    @functools.cached_property
    def noises(self):
        """Noises ``[S]`` of unit variance."""
        rng = np.random.default_rng(self.seed)
        size = NOISE_SECONDS * self.rate
        return [
            coloured_noise(rng, size, self.rate, exponent).astype(np.float32)
            for exponent in EXPONENTS
        ]

    def __getitem__(self, number):
        rng = np.random.default_rng((self.seed, number))
        names = ()
        if self.is_mixed:
            wav, names = self.mix(rng)
        else:
            wav = self.place(number, rng)
        sig = as_int16(wav)
        starts = rng.integers(
            max(len(sig) - self.part_length, 0) + 1, size=self.num_parts
        )
        if number // self.size != self.block:
            self.block = number // self.size
            self.answers.clear()
        if number not in self.answers:
            self.answers[number] = self.ask(sig, starts, names)
        times = np.stack([starts, starts + self.part_length], 1) / self.rate
        return {
            "id": str(number),
            "sig": torch.tensor(sig),
            "parts": torch.tensor(times, dtype=torch.float32),
            **self.answers[number],
        }

    def ask(self, sig, starts, names):
        """The teacher's answers to a clip ``[S]`` in 16 bits and to its parts,
        corrected by the names of true classes of the clip.
        """
        wav = sig.astype(np.float32) / 2**15
        targets, embedding = self.teacher.answer(wav)
        for name in names:
            place = self.teacher.model.labels.index(name)
            targets[place] = targets[place].clamp(min=TRUE)
        parts = [
            self.teacher.answer(wav[start : start + self.part_length])[0]
            for start in starts
        ]
        return {
            "targets": targets,
            "embedding": embedding,
            "part_targets": torch.stack(parts),
        }

    def read(self, number, rng, speed=1.0):
        """A part ``[S]`` of a recording, at most as long as a clip."""
        row = self.rows[number]
        start, stop = int(row["start"]), int(row["stop"])
        needed = int(self.length * speed)
        if stop - start > needed:
            start += rng.integers(stop - start - needed + 1)
            stop = start + needed
        wav, _ = audio_io.load(
            row["wav"],
            always_2d=False,
            frame_offset=int(start),
            num_frames=int(stop - start),
        )
        return wav.numpy()

    def place(self, number, rng):
        """A recording in a clip ``[S]``, with another behind it."""
        wav = self.read(number, rng)
        if not self.backgrounds or len(wav) == self.length:
            return wav
        scene = np.zeros(self.length, np.float32)
        add_sound(scene, wav, rng.integers(self.length - len(wav) + 1))
        self.add_background(scene, wav.std(), rng)
        return scene / max(1.0, np.abs(scene).max())

    def add_background(self, scene, level, rng):
        """Adds a recording that fills a scene ``[S]``, in place."""
        number = rng.choice(self.backgrounds)
        level *= from_decibels(rng.uniform(*BACKGROUND_DB))
        add_sound(scene, self.read(number, rng), 0, level)

    def mix(self, rng):
        """Draws and mixes a clip ``[S]``; names its true classes, as known."""
        names, filled = [], 0
        scene = np.zeros(self.length, np.float32)
        loudest = rng.uniform(*LEVEL_DB)
        count = 1 + rng.choice(len(SOUNDS), p=SOUNDS)
        for place in range(count):
            folder = self.folders[rng.choice(len(self.folders), p=self.shares)]
            number = folder[rng.integers(len(folder))]
            speed = rng.uniform(*SPEED)
            wav = change_speed(self.read(number, rng, speed), speed, self.rate)
            wav = wav[: self.length]
            wav[1:] -= rng.uniform(-TILT, TILT) * wav[:-1]
            start = rng.integers(self.length - len(wav) + 1)
            quieter = rng.uniform(0, QUIETER_DB) if place else 0
            level = from_decibels(loudest - quieter)
            add_sound(scene, wav, start, level, FADE)
            filled += len(wav)
            if quieter < AUDIBLE_DB:
                names += filter(None, self.rows[number]["labels"].split(";"))
        if self.backgrounds and filled < self.length:
            self.add_background(scene, from_decibels(loudest), rng)
        if rng.uniform() < NOISY:
            noise = self.noises[rng.integers(len(self.noises))]
            start = rng.integers(len(noise) - self.length + 1)
            level = from_decibels(loudest + rng.uniform(*NOISE_DB))
            scene += level * noise[start : start + self.length]
        return scene / max(1.0, np.abs(scene).max()), names


def group_by_folder(data):
    """The numbers of each folder's recordings, whose ids begin with its name."""
    folders = {}
    for number, name in enumerate(data):
        folders.setdefault(name.partition("--")[0], []).append(number)
    return folders


class Numbers(torch.utils.data.Sampler):
    """The numbers of an epoch's clips.

    Arguments
    ---------
    dataset : Dataset
        Its length is that of an epoch.
    uses : int
        How many epochs have the same clips, before there are new ones.
    """

    def __init__(self, dataset, uses=1):
        self.size = len(dataset)
        self.uses = uses
        self.epoch = 1

    def set_epoch(self, epoch):
        """Sets the epoch, from 1, before it starts."""
        self.epoch = epoch

    def __len__(self):
        return self.size

    def __iter__(self):
        first = (self.epoch - 1) // self.uses * self.size
        return iter(range(first, first + self.size))


def log_odds(clips):
    """The log-odds ``[C]`` of the classes in the first clips, by the teacher."""
    means = torch.stack([clips[x]["targets"] for x in range(FIRST)]).mean(0)
    return means.clamp(LEAST, 1 - LEAST).logit()
