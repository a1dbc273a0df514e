"""The archive, folders, lists, splits and classes of Speech Commands.

One folder per word holds clips named ``SPEAKER_nohash_NUMBER.wav``. Two lists
name the clips for validation and testing; the rule that made them keeps the
clips of a speaker together (https://arxiv.org/abs/1804.03209).

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import posixpath
import tarfile
import zlib

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.audio import AUDIO_EXTENSIONS
from speechbrain_fftp.dataio.files import atomic_folder
from speechbrain_fftp.datasets.names import files_below, folders_in, text_digest

logger = get_logger(__name__)

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
COMMAND_SPLITS = ("train", *SPLIT_LISTS)
HELD_OUT_PERCENT = 10  # of the speakers for validation, and for testing
MAX_CLIPS_PER_CLASS = 2**27 - 1  # a constant of the data set's hash rule


def is_archive(path):
    """Whether a path is named like a tar.gz archive, and is no folder."""
    is_named = str(path).lower().endswith((".tar.gz", ".tgz"))
    return is_named and not os.path.isdir(path)


def unpack_archive(archive, folder):
    """Unpacks a tar.gz archive into a folder, unless that exists already.

    Returns where the data are: the folder, or the only folder in it if that one
    has folders. A damaged archive, or one that leads out of the folder, is a
    ValueError and leaves no folder.
    """
    if not os.path.isdir(folder):
        logger.info("Unpacking %s to %s", archive, folder)
        try:
            with atomic_folder(folder) as partial:
                with tarfile.open(archive, "r:gz") as tar:
                    tar.extractall(partial, filter="data")
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise ValueError(
                f"{archive} cannot be unpacked: {error}. Nothing was kept;"
                " download the archive again."
            )
    entries = [name for name in os.listdir(folder) if name[0] != "."]
    inner = os.path.join(folder, entries[0]) if len(entries) == 1 else folder
    return inner if os.path.isdir(inner) and folders_in(inner) else folder


def list_words(data_folder, save_folder=None):
    """Maps each word to its clips, and lists the files that are not audio.

    Paths are sorted and relative to ``data_folder``, with ``/``. Hidden folders
    and files are skipped, and the folder that contains ``save_folder``.
    """
    words = {}
    others = []
    save = os.path.join(os.path.realpath(save_folder or os.devnull), "")
    for word in folders_in(data_folder):
        top = os.path.join(data_folder, word)
        if save.startswith(os.path.join(os.path.realpath(top), "")):
            continue
        words[word] = []
        for path in files_below(top, data_folder):
            is_audio = path.lower().endswith(AUDIO_EXTENSIONS)
            (words[word] if is_audio else others).append(path)
        words[word].sort()
    return words, sorted(others)


def speaker_of(path):
    """The speaker of a clip, and whether its name has one.

    The name is ``SPEAKER_nohash_NUMBER.wav``, after ``WORD_`` in the folder
    ``_unknown_``, or else the speaker.
    """
    folder, name = posixpath.split(path)
    name = posixpath.splitext(name)[0]
    speaker, mark, _ = name.partition("_nohash_")
    if mark and folder.split("/")[0] == UNKNOWN:
        speaker = speaker.partition("_")[2] or speaker
    return speaker, bool(mark)


def hash_split(speaker):
    """Assigns a speaker to train (80 %), valid or test by the official rule."""
    number = int(text_digest(speaker), 16) % (MAX_CLIPS_PER_CLASS + 1)
    percentage = number * (100.0 / MAX_CLIPS_PER_CLASS)
    if percentage < HELD_OUT_PERCENT:
        return "valid"
    return "test" if percentage < 2 * HELD_OUT_PERCENT else "train"


def read_lists(data_folder):
    """Reads the lists of clips for validation and testing; None without any."""
    lists = {}
    missing = ""
    for split, name in SPLIT_LISTS.items():
        path = os.path.join(data_folder, name)
        if not os.path.isfile(path):
            missing = missing or path
            continue
        try:
            with open(path, encoding="utf-8-sig") as file:
                lines = [line.strip().replace("\\", "/") for line in file]
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not UTF-8 text: {error}")
        lists[split] = [posixpath.normpath(line) for line in lines if line]
    if lists and missing:
        raise ValueError(
            f"{missing} is missing, but the other list is there: add it, or"
            " delete the other list to split the clips by speaker"
        )
    return lists or None


def split_clips(paths, lists=None):
    """Assigns each clip to a split: by the lists or, without, by speaker.

    Extensions are ignored, as clips may be converted from wav to flac. Returns
    the split of each path, the reason to skip each listed path without a file,
    and the number of clips in both lists, which are for testing.
    """
    if lists is None:
        return {path: hash_split(speaker_of(path)[0]) for path in paths}, {}, 0
    stems = {path: posixpath.splitext(path)[0] for path in paths}
    listed = {}
    absent = {}
    present = set(stems.values())
    for split, entries in lists.items():
        for entry in entries:
            stem = posixpath.splitext(entry)[0]
            listed.setdefault(stem, set()).add(split)
            if stem not in present:
                absent[entry] = f"listed in {SPLIT_LISTS[split]}, but missing"
    num_doubled = sum(len(splits) > 1 for splits in listed.values())
    # "test" sorts before "valid"
    splits = {p: min(listed.get(s, {"train"})) for p, s in stems.items()}
    return splits, absent, num_doubled


def task_classes(task, words, has_noise, data_folder):
    """Finds the classes of one of ``TASKS`` among the folders.

    ``words`` maps folders to their clips, without the background noise. Returns
    the classes in order, the folders whose clips are all used, each for the
    class of its name, and the folders to draw clips of other words from.
    """
    clips = f"clips ({', '.join(AUDIO_EXTENSIONS)})"
    if task == "folders":
        classes = sorted(word for word in words if words[word])
        if len(classes) < 2:
            raise ValueError(
                f"{data_folder}: at least two folders with {clips} are needed,"
                f" found {', '.join(classes) or 'none'}"
            )
        return classes, classes, []
    if task == "35":
        classes = folders = sorted(COMMANDS + OTHER_WORDS)
    else:
        classes = [*COMMANDS, UNKNOWN, SILENCE]
        folders = [c for c in classes if c in COMMANDS or c in words]
    if missing := ", ".join(word for word in folders if word not in words):
        raise ValueError(
            f"{data_folder} has no folder {missing}: add it, or use the task"
            " 'folders', in which each folder is a class"
        )
    if empty := ", ".join(word for word in folders if not words[word]):
        raise ValueError(f"{data_folder}: no {clips} in the folder {empty}")
    pool = []
    if task == "12" and UNKNOWN not in words:
        pool = [word for word in words if word not in folders and words[word]]
        if not pool:
            raise ValueError(
                f"{data_folder} has no clips of other words for the class"
                f" {UNKNOWN}: add folders of them, such as bed/, or a folder"
                f" {UNKNOWN}; or use the task 'folders'"
            )
    if task == "12" and SILENCE not in words and not has_noise:
        raise ValueError(
            f"{data_folder} has no clips for the class {SILENCE}: add the"
            f" folder {NOISE_FOLDER} with recordings of noise, or {SILENCE}"
            " with clips; or use the task 'folders'"
        )
    return classes, folders, pool
