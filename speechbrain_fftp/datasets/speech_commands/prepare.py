"""Prepares Speech Commands: converts its clips and writes manifests.

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

import logging
import os
import posixpath

import soundfile as sf

from speechbrain_fftp.dataio.audio import read_duration
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.datasets.convert import convert_clip, write_prepared
from speechbrain_fftp.datasets.manifests import (
    CLASSES_CSV,
    Clip,
    check_class_names,
    read_classes_csv,
)
from speechbrain_fftp.datasets.names import clip_ids, seeded_rng, text_digest
from speechbrain_fftp.datasets.prepared import (
    is_complete,
    prepare_folder,
    source_state,
)
from speechbrain_fftp.datasets.speech_commands import lists
from speechbrain_fftp.datasets.speech_commands.lists import SILENCE, UNKNOWN

logger = logging.getLogger(__name__)

ARCHIVE_URL = "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz"
COMMAND_SPLITS = ("train", "valid", "test")
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

    Writes packs of clips, ``wav/SPLIT-NUMBER.wav``; ``train.csv``,
    ``valid.csv`` and ``test.csv``, with paths relative to ``$data_root``, the
    prepared folder; ``classes.csv``; ``skipped.csv`` with each unusable clip
    and the reason; and ``noise/NAME.flac``, the training part of each
    background recording. Returns at once if the prepared folder is complete.

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
    task = str(task)
    if task not in lists.TASKS:
        raise InputError(f"task is {task!r}, not {', '.join(lists.TASKS)}")
    settings = {
        "task": task,
        "sample_rate": sample_rate,
        "clip_seconds": clip_seconds,
    }
    source = None
    words = {}
    if os.path.isdir(data_folder):
        words = lists.list_words(data_folder)
        paths = [*lists.SPLIT_LISTS.values(), *sum(words.values(), [])]
        source = source_state(
            [os.path.join(data_folder, path) for path in paths], data_folder
        )
    elif not is_complete(prepared_folder):
        raise FileNotFoundError(
            f"data_folder {data_folder} does not hold one folder per word,"
            f" as in {ARCHIVE_URL}, which has to be unpacked"
        )
    with prepare_folder(prepared_folder, settings, source) as to_do:
        if to_do:
            noise = list_noise(data_folder, words.pop(lists.NOISE_FOLDER, []))
            classes, clips = list_clips(
                data_folder, words, noise, task, clip_seconds
            )
            write_noise(prepared_folder, noise, sample_rate)
            write_prepared(
                prepared_folder,
                clips,
                dict(zip(classes, classes)),
                sample_rate=sample_rate,
                splits=COMMAND_SPLITS,
                label_column="label",
            )


def list_clips(data_folder, words, noise, task, clip_seconds):
    """Lists the classes and the clips of a task.

    ``words`` maps folders to the paths of their clips; ``noise`` are the
    training parts of the background recordings.
    """
    classes, folders, pool = lists.task_classes(
        task, words, bool(noise), data_folder
    )
    check_class_names(classes, data_folder)
    unused = sorted(set(words) - {*folders, *pool})
    if unused:
        logger.warning(
            "Skipped folders that are empty or not a word of task %s: %s",
            task,
            ", ".join(unused),
        )
    listed = lists.read_lists(data_folder)
    ids = clip_ids(sum(words.values(), []))

    def make_clip(path, label):
        """Makes a Clip from the path of a file."""
        return Clip(
            id=ids[path],
            audio=os.path.join(data_folder, path),
            labels=(label,),
            split=lists.split_of(path, listed),
            end=clip_seconds,
        )

    clips = [make_clip(path, word) for word in folders for path in words[word]]
    if task != "12":
        return classes, clips
    others = [make_clip(path, UNKNOWN) for word in pool for path in words[word]]
    others.sort(key=lambda clip: text_digest(clip.id))
    for split in COMMAND_SPLITS:
        # As many clips of other words and of silence as a command has
        count = sum(
            clip.split == split and clip.labels[0] in lists.COMMANDS
            for clip in clips
        )
        mean = max(round(count / len(lists.COMMANDS)), 1) if count else 0
        clips += [clip for clip in others if clip.split == split][:mean]
        if SILENCE not in words:
            clips += [
                draw_silence(noise, split, number, clip_seconds)
                for number in range(mean)
            ]
    return classes, clips


def list_noise(data_folder, paths):
    """The training parts of the background recordings, as clips."""
    noise = []
    for path in paths:
        source = os.path.join(data_folder, path)
        try:
            seconds = read_duration(source)
        except ValueError as error:
            logger.warning("Skipped %s: %s", source, error)
            continue
        name = posixpath.splitext(posixpath.basename(path))[0]
        end = seconds * RECORDING_PARTS["train"][1]
        noise.append(Clip(id=name, audio=source, end=end))
    return noise


def write_noise(prepared_folder, noise, sample_rate):
    """Writes recordings of noise as FLAC files, in the folder ``noise``."""
    folder = os.path.join(prepared_folder, "noise")
    os.makedirs(folder, exist_ok=True)
    for recording in noise:
        try:
            samples = convert_clip(recording, sample_rate)
        except ValueError as error:
            logger.warning("Skipped %s: %s", recording.audio, error)
            continue
        path = os.path.join(folder, f"{recording.id}.flac")
        sf.write(path, samples, sample_rate)


def draw_silence(noise, split, number, clip_seconds):
    """Draws a clip from a split's part of the recordings, at a random level."""
    rng = seeded_rng("silence", split, number)
    recording = noise[rng.integers(len(noise))]
    seconds = recording.end / RECORDING_PARTS["train"][1]
    first, last = (part * seconds for part in RECORDING_PARTS[split])
    start = rng.uniform(first, max(last - clip_seconds, first))
    return Clip(
        id=f"{SILENCE}-{split}-{number}",
        audio=recording.audio,
        labels=(SILENCE,),
        split=split,
        start=start,
        end=min(start + clip_seconds, last),
        gain=rng.uniform(),
    )


def count_classes(task, data_folder, prepared_folder):
    """Number of classes of a task; 35 for custom words without data."""
    if str(task) != "folders":
        return int(task)
    if os.path.isfile(os.path.join(prepared_folder, CLASSES_CSV)):
        return len(read_classes_csv(prepared_folder))
    if not os.path.isdir(data_folder):
        return len(lists.COMMANDS + lists.OTHER_WORDS)
    words = lists.list_words(data_folder)
    words.pop(lists.NOISE_FOLDER, None)
    return sum(bool(paths) for paths in words.values())
