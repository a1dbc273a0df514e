"""Reads which clips of words are for training, validation and testing.

As in Speech Commands (https://arxiv.org/abs/1804.03209): by its lists or,
without them, by speaker, with the rule that made the lists.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import posixpath

from fftp_tag.data.names import text_digest
from fftp_tag.errors import InputError

# Folders that are no words
UNKNOWN = "_unknown_"  # other words
SILENCE = "_silence_"
NOISE_FOLDER = "_background_noise_"  # recordings of noise
SPLIT_LISTS = {"valid": "validation_list.txt", "test": "testing_list.txt"}
HELD_OUT_PERCENT = 10  # of the speakers for validation, and for testing
MAX_CLIPS_PER_CLASS = 2**27 - 1  # a constant of the data set's hash rule


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
    return lists


def split_of(path, lists=None):
    """The split of a clip: by the lists or, without them, by speaker."""
    if lists is None:
        return hash_split(speaker_of(path))
    stem = posixpath.splitext(path)[0]
    return next((s for s, stems in lists.items() if stem in stems), "train")
