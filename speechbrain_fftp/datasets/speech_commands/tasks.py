"""The tasks on Speech Commands: which folders make up which classes.

* 35: each of the 35 words is a class;
* 12: ten commands, ``_unknown_`` (other words) and ``_silence_`` (noise);
* folders: each folder is a class, for custom words.

Authors
 * The speechbrain_fftp authors 2026
"""

from speechbrain_fftp.dataio.audio import AUDIO_EXTENSIONS
from speechbrain_fftp.datasets.speech_commands.lists import (
    NOISE_FOLDER,
    SILENCE,
    UNKNOWN,
)

TASKS = ("12", "35", "folders")
COMMANDS = tuple("yes no up down left right on off stop go".split())
OTHER_WORDS = tuple(
    "backward bed bird cat dog eight five follow forward four happy house learn"
    " marvin nine one seven sheila six three tree two visual wow zero".split()
)


def task_classes(task, words, has_noise, data_folder):
    """Finds the classes of a task among the folders.

    Arguments
    ---------
    task : str
        One of ``TASKS``.
    words : dict
        From folder to its clips, without the background noise.
    has_noise : bool
        Whether there are background recordings.
    data_folder : str
        The data folder, for messages.

    Returns
    -------
    classes : list of str
        The classes, in order.
    folders : list of str
        Folders whose clips are all used, each for the class of its name.
    pool : list of str
        Folders to draw clips of other words from.

    Raises
    ------
    ValueError
        If a folder is missing or empty.
    """
    if task == "folders":
        return _folder_classes(words, data_folder)
    if task == "35":
        classes = folders = sorted(COMMANDS + OTHER_WORDS)
    else:
        classes = [*COMMANDS, UNKNOWN, SILENCE]
        folders = [c for c in classes if c in COMMANDS or c in words]
    missing = [word for word in folders if word not in words]
    if missing:
        raise ValueError(
            f"{data_folder} has no folder {', '.join(missing)}: add it, or use"
            " the task 'folders', in which each folder is a class"
        )
    empty = [word for word in folders if not words[word]]
    if empty:
        raise ValueError(
            f"{data_folder}: no clips ({', '.join(AUDIO_EXTENSIONS)}) in the"
            f" folder {', '.join(empty)}: add some"
        )
    if task == "35":
        return classes, folders, []
    pool = []
    if UNKNOWN not in words:
        pool = [word for word in words if word not in folders and words[word]]
        if not pool:
            raise ValueError(
                f"{data_folder} has no clips of other words for the class"
                f" {UNKNOWN}: add folders of them, such as bed/, or a folder"
                f" {UNKNOWN}; or use the task 'folders'"
            )
    if SILENCE not in words and not has_noise:
        raise ValueError(
            f"{data_folder} has no clips for the class {SILENCE}: add the"
            f" folder {NOISE_FOLDER} with recordings of noise, or {SILENCE}"
            " with clips; or use the task 'folders'"
        )
    return classes, folders, pool


def _folder_classes(words, data_folder):
    """Each folder that has clips is a class."""
    classes = sorted(word for word in words if words[word])
    if len(classes) < 2:
        raise ValueError(
            f"{data_folder}: at least two folders with clips"
            f" ({', '.join(AUDIO_EXTENSIONS)}) are needed, found"
            f" {', '.join(classes) or 'none'}"
        )
    return classes, classes, []
