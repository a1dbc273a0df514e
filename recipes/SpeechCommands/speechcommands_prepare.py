"""Prepares Speech Commands: checks its clips and writes SpeechBrain manifests.

The data folder is that of the data set, version 2: one folder per word with
clips SPEAKER_nohash_NUMBER.wav (or flac), _background_noise_, and the lists
validation_list.txt and testing_list.txt. It may also be the archive,
speech_commands_v0.02.tar.gz, which is unpacked into the save folder. There are
three tasks:

* 35: each of the 35 words is a class;
* 12: ten commands, _unknown_ (other words) and _silence_ (background noise);
* folders: each folder is a class, for words of one's own.

Without both lists, the clips are split by speaker, as the data set's own were.

The training recipe calls this. By hand:
> python recipes/SpeechCommands/speechcommands_prepare.py DATA SAVE --task 35

Dataset: https://arxiv.org/abs/1804.03209

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import logging
import os
from collections import Counter

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.files import write_csv
from speechbrain_fftp.dataio.prepared import (
    DONE,
    begin_preparation,
    finish_preparation,
    is_prepared,
    write_skipped,
)
from speechbrain_fftp.datasets.audioset.lists import check_class_names
from speechbrain_fftp.datasets.own_sounds.splits import clip_ids, digest_of
from speechbrain_fftp.datasets.speech_commands.archives import (
    is_archive,
    unpack_archive,
)
from speechbrain_fftp.datasets.speech_commands.background import (
    read_recordings,
    recording_part,
    write_flac,
    write_silence,
)
from speechbrain_fftp.datasets.speech_commands.clips import use_or_convert
from speechbrain_fftp.datasets.speech_commands.lists import (
    COMMAND_SPLITS,
    NOISE_FOLDER,
    SILENCE,
    SPLIT_LISTS,
    UNKNOWN,
    list_words,
    read_lists,
    speaker_of,
    split_clips,
)
from speechbrain_fftp.datasets.speech_commands.tasks import (
    COMMANDS,
    TASKS,
    task_classes,
)

logger = get_logger(__name__)

ARCHIVE_URL = "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz"
FOLDERS = ("flac", "silence", "noise")
TABLES = (
    *(f"{split}.csv" for split in COMMAND_SPLITS),
    "classes.csv",
    "skipped.csv",
)


def prepare_speechcommands(
    data_folder,
    save_folder,
    task="12",
    sample_rate=16000,
    clip_seconds=1.0,
    skip_prep=False,
):
    """Checks the clips and writes the manifests of the recipe.

    Writes ``train.csv``, ``valid.csv`` and ``test.csv``, with paths that begin
    with ``$data_folder`` (clips used where they are) or ``$data_root`` (those
    in the save folder: ``flac/`` if they had to be converted, ``silence/``,
    ``unpacked/``), ``classes.csv``, ``skipped.csv`` with each file that cannot
    be used and why, and ``noise/NAME.flac``, the part for training of each
    background recording. Returns at once if this was done before.

    Arguments
    ---------
    data_folder : str
        Folder of the data set, or its archive (see above).
    save_folder : str
        Folder to write to.
    task : str or int
        What the classes are: ``12``, ``35`` or ``folders``.
    sample_rate : int
        Sampling rate of the clips, in Hz.
    clip_seconds : float
        How long a clip may be; of longer ones, the beginning is kept.
    skip_prep : bool
        Whether to do nothing.

    Raises
    ------
    FileNotFoundError
        If the data folder or the archive is missing.
    ValueError
        If an argument makes no sense, the archive is damaged, a folder is
        missing or empty, or a split or a class has no clip that can be used.

    Example
    -------
    >>> prepare_speechcommands("/path/to/speech_commands", "results/prepared")
    """
    if skip_prep:
        return
    task = str(task)
    if task not in TASKS:
        raise ValueError(f"task is {task!r}, not one of {', '.join(TASKS)}")
    if not (sample_rate >= 1000 and clip_seconds >= 0.1):
        raise ValueError(
            f"sample_rate is {sample_rate} and clip_seconds {clip_seconds}, not"
            " at least 1000 and 0.1"
        )
    data_folder, save_folder = os.fspath(data_folder), os.fspath(save_folder)
    if not (os.path.isdir(data_folder) or is_archive(data_folder)):
        raise FileNotFoundError(
            f"data_folder {data_folder} is neither a folder with one folder per"
            f" word nor an archive such as that from {ARCHIVE_URL}"
        )
    settings = {
        "version": 1,
        "data_folder": os.path.abspath(data_folder),
        "data": fingerprint(data_folder, save_folder),
        "task": task,
        "sample_rate": sample_rate,
        "clip_seconds": clip_seconds,
    }
    if is_prepared(save_folder, settings, TABLES):
        logger.info(
            "Using the data prepared in %s (to prepare it anew, delete %s)",
            save_folder,
            os.path.join(save_folder, DONE),
        )
        return
    place = "$data_folder"
    if is_archive(data_folder):
        root = os.path.abspath(save_folder)
        data_folder = unpack_archive(data_folder, f"{root}/unpacked")
        place = os.path.relpath(data_folder, root).replace(os.sep, "/")
        place = f"$data_root/{place}"
    elif os.path.realpath(data_folder) == os.path.realpath(save_folder):
        raise ValueError(f"{data_folder} is the data: save to another folder")

    words, other_files = list_words(data_folder, save_folder)
    noise = words.pop(NOISE_FOLDER, [])
    classes, wanted, pool = task_classes(task, words, bool(noise), data_folder)
    check_class_names(classes, data_folder)
    left_out = [word for word in words if word not in (*wanted, *pool)]
    if left_out:
        logger.warning(
            "Folders left out, as they are no words of task %s or are empty:"
            " %s",
            task,
            ", ".join(left_out),
        )
    every_path = [path for paths in words.values() for path in paths]
    splits, skipped, doubled = split_clips(every_path, read_lists(data_folder))
    if doubled:
        logger.warning("%d clips of both lists are for testing only", doubled)
    for path in other_files:
        if path.split("/")[0] in (*wanted, *pool):
            skipped[path] = "not named like audio"

    begin_preparation(save_folder, settings, TABLES, FOLDERS, kept=["flac"])
    ids = clip_ids([*every_path, *noise])
    clips, treated = {split: [] for split in COMMAND_SPLITS}, Counter()

    def add(paths, label=None):
        """Adds those clips that can be used, and gives how many."""
        usable, failed = use_or_convert(
            data_folder,
            {path: ids[path] for path in paths},
            os.path.join(save_folder, "flac"),
            sample_rate,
            clip_seconds,
            label or "clips",
        )
        skipped.update(failed)
        for path, (seconds, treatments) in usable.items():
            wav = f"{place}/{path}"
            if treatments is not None:
                treated.update(treatments)
                wav = f"$data_root/flac/{ids[path]}.flac"
            word = label or path.split("/")[0]
            clips[splits[path]].append((ids[path], seconds, wav, word, path))
        return len(usable)

    add([path for word in wanted for path in words[word]])
    recordings, failed = read_recordings(
        {path: os.path.join(data_folder, path) for path in noise}, sample_rate
    )
    skipped.update(failed)
    for split in COMMAND_SPLITS if task == "12" else ():
        count = sum(clip[3] in COMMANDS for clip in clips[split])
        mean = max(round(count / len(COMMANDS)), 1) if count else 0
        left = (path for word in pool for path in words[word])
        left = by_hash(path for path in left if splits[path] == split)
        missing = mean
        while missing and left:
            chosen, left = left[:missing], left[missing:]
            missing -= add(chosen, UNKNOWN)
        if SILENCE not in words and recordings:
            written = write_silence(
                os.path.join(save_folder, "silence"),
                recordings,
                split,
                mean,
                sample_rate,
                clip_seconds,
            )
            for name, seconds in written.items():
                clip_id = f"{SILENCE}-{os.path.splitext(name)[0]}"
                wav = f"$data_root/silence/{name}"
                clips[split].append((clip_id, seconds, wav, SILENCE, ""))
    for path, samples in recordings.items():
        name = ids[path][len(f"{NOISE_FOLDER}_") :]
        path = os.path.join(save_folder, "noise", f"{name}.flac")
        write_flac(path, recording_part(samples, "train"), sample_rate)
    _finish(save_folder, clips, classes, skipped, treated["trimmed"])


def by_hash(paths):
    """Orders clips as if at random, but by their paths alone."""
    return sorted(paths, key=lambda path: (digest_of(path), path))


def fingerprint(data_folder, save_folder):
    """Sums up the words and lists of a data folder, or an archive's size."""
    if not os.path.isdir(data_folder):
        there = os.path.isfile(data_folder)
        return f"{os.path.getsize(data_folder)} bytes" if there else None
    seen = [sorted(list_words(data_folder, save_folder)[0])]
    for name in SPLIT_LISTS.values():
        path = os.path.join(data_folder, name)
        if os.path.isfile(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                seen.append((name, digest_of(file.read())))
    return digest_of(repr(seen))


def _finish(save_folder, clips, classes, skipped, num_trimmed):
    """Writes the tables, if there is something for each split and class."""
    path = os.path.join(save_folder, "skipped.csv")
    summary = write_skipped(path, skipped)
    for split in COMMAND_SPLITS:
        if not clips[split]:
            raise ValueError(
                f"No clip is left for the split {split}; skipped: {summary}."
                f" See {path}: mend the data or its lists and prepare again,"
                " or take both lists away to have the clips split by speaker."
            )
        have = {clip[3] for clip in clips[split]}
        missing = ", ".join(label for label in classes if label not in have)
        if missing and split == "train":
            raise ValueError(
                f"No clip to train the class {missing}; skipped: {summary}."
                f" See {path}: mend the data or its lists and prepare again."
            )
        if missing:
            logger.warning("No clip of %s in the split %s", missing, split)
    if skipped:
        logger.warning("Skipped files: %s; all are in %s", summary, path)
    if num_trimmed:
        logger.warning("Of %d clips, only the beginning is used", num_trimmed)

    path = os.path.join(save_folder, "classes.csv")
    write_csv(path, ("index", "label"), enumerate(classes))
    speakers = {}
    for split, rows in clips.items():
        path = os.path.join(save_folder, f"{split}.csv")
        rows = sorted(rows)
        write_csv(
            path, ("ID", "duration", "wav", "label"), (r[:4] for r in rows)
        )
        known = (speaker_of(row[4]) for row in rows)
        speakers[split] = {speaker for speaker, is_known in known if is_known}
    shared = Counter(s for found in speakers.values() for s in found)
    shared = [speaker for speaker, count in shared.items() if count > 1]
    if shared:
        logger.warning(
            "%d speakers are in more than one split, such as %s",
            len(shared),
            min(shared),
        )
    finish_preparation(save_folder)
    sizes = (
        f"{split}: {len(clips[split])} clips of {len(speakers[split])} speakers"
        for split in COMMAND_SPLITS
    )
    logger.info(
        "Prepared %d classes in %s; %s",
        len(classes),
        save_folder,
        ", ".join(sizes),
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data_folder")
    parser.add_argument("save_folder")
    parser.add_argument("--task", choices=TASKS, default="12")
    parser.add_argument("--sample_rate", type=int, default=16000)
    parser.add_argument("--clip_seconds", type=float, default=1.0)
    prepare_speechcommands(**vars(parser.parse_args()))
