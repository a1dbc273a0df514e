"""The folders, lists, splits and classes of Speech Commands.

One folder per word holds clips named ``SPEAKER_nohash_NUMBER.wav``. Two lists
name the clips for validation and testing; the rule that made them keeps the
clips of a speaker together (https://arxiv.org/abs/1804.03209).

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import posixpath

from speechbrain_fftp.dataio.audio import AUDIO_EXTENSIONS
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.datasets.names import files_below, folders_in, text_digest

TASKS = ("12", "35", "folders")
COMMANDS = tuple("yes no up down left right on off stop go".split())
OTHER_WORDS = tuple(
    "backward bed bird cat dog eight five follow forward four happy house learn"
    " marvin nine one seven sheila six three tree two visual wow zero".split()
)
UNKNOWN = "_unknown_"
SILENCE = "_silence_"
NOISE_FOLDER = "_background_noise_"
SPLIT_LISTS = {"valid": "validation_list.txt", "test": "testing_list.txt"}
HELD_OUT_PERCENT = 10  # of the speakers for validation, and for testing
MAX_CLIPS_PER_CLASS = 2**27 - 1  # a constant of the data set's hash rule


def list_words(data_folder):
    """Maps each word to its clips, as sorted paths from the data folder."""
    return {
        word: [
            path
            for path in files_below(
                os.path.join(data_folder, word), data_folder
            )
            if path.lower().endswith(AUDIO_EXTENSIONS)
        ]
        for word in folders_in(data_folder)
    }


def speaker_of(path):
    """The speaker of a clip.

    File names are ``SPEAKER_nohash_NUMBER.wav``, preceded by ``WORD_`` in the
    folder ``_unknown_``. Any other name counts as a speaker.
    """
    folder, name = posixpath.split(path)
    name = posixpath.splitext(name)[0]
    speaker, mark, _ = name.partition("_nohash_")
    if mark and folder.split("/")[0] == UNKNOWN:
        speaker = speaker.partition("_")[2] or speaker
    return speaker


def hash_split(speaker):
    """Assigns a speaker to train (80 %), valid or test by the official rule."""
    number = int(text_digest(speaker), 16) % (MAX_CLIPS_PER_CLASS + 1)
    percentage = number * (100.0 / MAX_CLIPS_PER_CLASS)
    if percentage < HELD_OUT_PERCENT:
        return "valid"
    return "test" if percentage < 2 * HELD_OUT_PERCENT else "train"


def read_lists(data_folder):
    """Reads the lists of validation and test clips; None if both are missing.

    Extensions are dropped, as clips may be converted from wav to flac.
    """
    paths = {
        split: os.path.join(data_folder, name)
        for split, name in SPLIT_LISTS.items()
    }
    missing = [path for path in paths.values() if not os.path.isfile(path)]
    if len(missing) == len(paths):
        return None
    if missing:
        raise InputError(
            f"{missing[0]} is missing, but the other list is there: add it, or"
            " delete the other list to split the clips by speaker"
        )
    lists = {}
    for split, path in paths.items():
        with open(path, encoding="utf-8-sig") as file:
            lines = [line.strip() for line in file if line.strip()]
        lists[split] = {posixpath.splitext(line)[0] for line in lines}
    both = sorted(lists["valid"] & lists["test"])
    if both:
        raise InputError(
            f"{data_folder}: both lists contain {both[0]}: remove it from one"
        )
    return lists


def split_of(path, lists=None):
    """The split of a clip: by the lists or, without them, by speaker."""
    if lists is None:
        return hash_split(speaker_of(path))
    stem = posixpath.splitext(path)[0]
    return next((s for s, stems in lists.items() if stem in stems), "train")


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
