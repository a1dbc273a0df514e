#!/usr/bin/env python3
"""Prepares Speech Commands: converts its clips and writes manifests.

``train.py`` does so by itself, or beforehand:
> python recipes/SpeechCommands/speechcommands_prepare.py DATA PREPARED --task 35

The data folder is laid out like version 2 of the data set: one folder per word
with clips SPEAKER_nohash_NUMBER.wav (or flac), _background_noise_, and the
lists validation_list.txt and testing_list.txt. There are three tasks:

* 35: each of the 35 words is a class;
* 12: ten commands, _unknown_ (other words) and _silence_ (background noise);
* folders: each folder is a class, for custom words.

Without the two lists, the clips are split by speaker with the rule that made
the official lists.

Dataset: https://arxiv.org/abs/1804.03209

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import functools
import hashlib
import io
import logging
import os
import posixpath
from pathlib import Path

import numpy as np
import soundfile as sf

from fftp_tag.audio.decode import read_duration
from fftp_tag.data.class_lists import CLASSES_CSV, read_classes_csv
from fftp_tag.data.class_names import class_name, class_names
from fftp_tag.data.clips import Clip, convert_clip
from fftp_tag.data.names import audio_below, clip_ids, folders_in, text_digest
from fftp_tag.data.prepared import is_complete, preparing, write_prepared
from fftp_tag.data.word_splits import (
    NOISE_FOLDER,
    SILENCE,
    UNKNOWN,
    read_lists,
    split_of,
)
from fftp_tag.errors import InputError, one_line_errors
from fftp_tag.files import atomic_path

logger = logging.getLogger(__name__)

ARCHIVE_URL = "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz"
TASKS = ("12", "35", "folders")
COMMANDS = tuple("yes no up down left right on off stop go".split())
OTHER_WORDS = tuple(
    "backward bed bird cat dog eight five follow forward four happy house learn"
    " marvin nine one seven sheila six three tree two visual wow zero".split()
)
SPLITS = ("train", "valid", "test")
# Begin and end of each split's part of a background recording, as fractions
RECORDING_PARTS = {"train": (0.0, 0.7), "valid": (0.7, 0.85), "test": (0.85, 1)}


def prepare_speech_commands(
    data_folder,
    prepared_folder,
    task="12",
    sample_rate=16000,
    clip_seconds=1.0,
    skip_prep=False,
):
    """Converts the clips and writes the manifests of the recipe.

    Writes the clips, ``audio/ID.wav``; ``train.csv``, ``valid.csv`` and
    ``test.csv``, with paths relative to ``$data_root``, the prepared folder;
    ``classes.csv``; ``skipped.csv`` with each unusable clip and the reason; and
    ``noise/NAME.flac``, the training part of each background recording. Returns
    at once if the prepared folder is complete.

    Arguments
    ---------
    data_folder : str
        Folder of the data set (see above).
    prepared_folder : str
        Folder to write to.
    task : str or int
        The classes: ``12``, ``35`` or ``folders``.
    sample_rate : int
        Sampling rate of the clips, in Hz.
    clip_seconds : float
        Maximum clip length; only the beginning of longer clips is used.
    skip_prep : bool
        Whether to do nothing.

    Raises
    ------
    FileNotFoundError
        If the data folder is missing.
    InputError
        If a folder is missing or empty, a split has no usable clip, or the
        prepared folder was made with other settings or from other source files.
    """
    if skip_prep:
        return
    check_task(task)
    task = str(task)
    settings = {
        "task": task,
        "sample_rate": sample_rate,
        "clip_seconds": clip_seconds,
    }
    if not os.path.isdir(data_folder) and not is_complete(prepared_folder):
        raise FileNotFoundError(
            f"data_folder {data_folder} does not hold one folder per word,"
            f" as in {ARCHIVE_URL}, which has to be unpacked"
        )
    words, splits = {}, {}
    if os.path.isdir(data_folder):
        words = list_words(data_folder)
        listed = read_lists(data_folder)
        paths = sum(words.values(), [])
        splits = {path: split_of(path, listed) for path in paths}
        digest = text_digest(repr(list(splits.items())))[:16]
        settings["clips"] = f"{len(splits)} files, {digest}"
    with preparing(prepared_folder, settings) as to_do:
        if to_do:
            noise = write_noise(
                data_folder,
                words.pop(NOISE_FOLDER, []),
                prepared_folder,
                sample_rate,
            )
            classes, clips = list_clips(
                data_folder, words, splits, noise, task, clip_seconds
            )
            write_prepared(
                prepared_folder,
                clips,
                dict(zip(classes, classes)),
                sample_rate=sample_rate,
                splits=SPLITS,
                convert=functools.partial(
                    convert_word, sample_rate=sample_rate
                ),
            )


def convert_word(clip, sample_rate):
    """Converts a clip to 16 bits; silence has a random level."""
    samples = convert_clip(clip, sample_rate)
    if clip.group != SILENCE:
        return samples
    level = random_of(f"level of {clip.id}").uniform()
    return (level * samples).astype(np.int16)


def list_clips(data_folder, words, splits, noise, task, clip_seconds):
    """Lists the classes and the clips of a task.

    ``words`` maps folders to the paths of their clips, and ``splits`` paths to
    splits; ``noise`` are the training parts of the background recordings.
    """
    classes, folders, pool = task_classes(task, words, bool(noise), data_folder)
    classes = class_names(classes, data_folder)
    unused = sorted(set(words) - {*folders, *pool})
    if unused:
        logger.warning(
            "Skipped folders that are empty or not a word of task %s: %s",
            task,
            ", ".join(unused),
        )
    ids = clip_ids(sum(words.values(), []))

    def make_clip(path, label):
        """Makes a Clip from the path of a file."""
        return Clip(
            id=ids[path],
            audio=os.path.join(data_folder, path),
            labels=(class_name(label),),
            split=splits[path],
            end=clip_seconds,
        )

    clips = [make_clip(path, word) for word in folders for path in words[word]]
    if task != "12":
        return classes, clips
    others = [make_clip(path, UNKNOWN) for word in pool for path in words[word]]
    others.sort(key=lambda clip: text_digest(clip.id))
    for split in SPLITS:
        # As many clips of other words and of silence as a command has
        count = sum(
            clip.split == split and clip.labels[0] in COMMANDS for clip in clips
        )
        mean = max(round(count / len(COMMANDS)), 1) if count else 0
        clips += [clip for clip in others if clip.split == split][:mean]
        if SILENCE not in words:
            clips += [
                draw_silence(noise, split, number, clip_seconds)
                for number in range(mean)
            ]
    return classes, clips


def write_noise(data_folder, paths, prepared_folder, sample_rate):
    """Writes the training parts of background recordings as FLAC files.

    Returns these parts as clips. Recordings that cannot be read are skipped.
    """
    folder = os.path.join(prepared_folder, "noise")
    os.makedirs(folder, exist_ok=True)
    noise = []
    for path in paths:
        name = posixpath.splitext(posixpath.basename(path))[0]
        source = os.path.join(data_folder, path)
        try:
            end = read_duration(source) * RECORDING_PARTS["train"][1]
            part = Clip(id=name, audio=source, end=end)
            samples = convert_clip(part, sample_rate)
        except ValueError as error:
            logger.warning("Skipped %s: %s", source, error)
            continue
        content = io.BytesIO()
        sf.write(content, samples, sample_rate, format="FLAC")
        path = os.path.join(folder, f"{name}.flac")
        with atomic_path(path) as temporary:
            Path(temporary).write_bytes(content.getbuffer())
        noise.append(part)
    return noise


def random_of(text):
    """Random numbers that a text is the seed of."""
    return np.random.default_rng(list(hashlib.sha1(text.encode()).digest()))


def draw_silence(noise, split, number, clip_seconds):
    """Draws a clip from a split's part of the recordings."""
    clip_id = f"{SILENCE}-{split}-{number}"
    rng = random_of(clip_id)
    recording = noise[rng.integers(len(noise))]
    seconds = recording.end / RECORDING_PARTS["train"][1]
    first, last = (part * seconds for part in RECORDING_PARTS[split])
    start = rng.uniform(first, max(last - clip_seconds, first))
    return Clip(
        id=clip_id,
        audio=recording.audio,
        labels=(SILENCE,),
        split=split,
        start=start,
        end=min(start + clip_seconds, last),
        group=SILENCE,
    )


def check_task(task):
    """Raises an InputError unless a task is one of ``TASKS``."""
    if str(task) not in TASKS:
        raise InputError(f"task is {task}: give {', '.join(TASKS)}.")


def list_words(data_folder):
    """Maps each folder to its clips, as sorted paths from the data folder."""
    names = folders_in(data_folder)
    return {name: audio_below(data_folder, name) for name in names}


def task_classes(task, words, has_noise, data_folder):
    """Finds the classes of one of ``TASKS`` among the folders.

    ``words`` maps folders to their clips, without the background noise. Returns
    the classes in order, the folders that are classes themselves, and the
    folders to draw clips of other words from.
    """
    if task == "folders":
        classes = sorted(word for word in words if words[word])
        if len(classes) < 2:
            raise InputError(
                f"{data_folder}: at least two folders with clips are needed,"
                f" found {', '.join(classes) or 'none'}"
            )
        return classes, classes, []
    if task == "35":
        classes = folders = sorted(COMMANDS + OTHER_WORDS)
    else:
        classes = [*COMMANDS, UNKNOWN, SILENCE]
        folders = [c for c in classes if c in COMMANDS or c in words]
    if missing := ", ".join(word for word in folders if not words.get(word)):
        raise InputError(
            f"{data_folder} has no clips in folders named {missing}: add them,"
            " or use --task folders, in which each folder is a class"
        )
    if task == "35":
        return classes, folders, []
    others = [word for word in words if word not in folders and words[word]]
    pool = [] if UNKNOWN in words else others
    if not (UNKNOWN in words or others) or not (SILENCE in words or has_noise):
        raise InputError(
            f"{data_folder}: task 12 needs clips of other words, or a folder"
            f" {UNKNOWN}, and recordings in {NOISE_FOLDER}, or a folder"
            f" {SILENCE}: add them, or use --task folders"
        )
    return classes, folders, pool


def count_classes(task, data_folder, prepared_folder):
    """Number of classes of a task; 35 for custom words without data."""
    check_task(task)
    if str(task) != "folders":
        return int(task)
    if os.path.isfile(os.path.join(prepared_folder, CLASSES_CSV)):
        return len(read_classes_csv(prepared_folder))
    if not os.path.isdir(data_folder):
        return len(COMMANDS + OTHER_WORDS)
    words = list_words(data_folder)
    words.pop(NOISE_FOLDER, None)
    return sum(bool(paths) for paths in words.values())


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data_folder")
    parser.add_argument("prepared_folder")
    parser.add_argument("--task", choices=TASKS, default="35")
    parser.add_argument("--sample_rate", type=int, default=16000)
    parser.add_argument("--clip_seconds", type=float, default=1.0)
    with one_line_errors():
        prepare_speech_commands(**vars(parser.parse_args()))
