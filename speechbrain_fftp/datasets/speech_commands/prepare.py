"""Prepares Speech Commands: converts its clips and writes manifests.

The data folder is that of the data set, version 2: one folder per word with
clips SPEAKER_nohash_NUMBER.wav (or flac), _background_noise_, and the lists
validation_list.txt and testing_list.txt. It may also be the archive,
speech_commands_v0.02.tar.gz, which is unpacked into the prepared folder. There are
three tasks:

* 35: each of the 35 words is a class;
* 12: ten commands, _unknown_ (other words) and _silence_ (background noise);
* folders: each folder is a class, for custom words.

Without the two lists, the clips are split by speaker with the rule that made
the official lists.

Dataset: https://arxiv.org/abs/1804.03209

Authors
 * The speechbrain_fftp authors 2026
"""

import itertools
import logging
import os
from collections import Counter, namedtuple

from speechbrain_fftp.dataio.files import write_csv
from speechbrain_fftp.datasets import convert, prepared
from speechbrain_fftp.datasets.manifests import check_class_names, read_table
from speechbrain_fftp.datasets.names import clip_ids, text_digest
from speechbrain_fftp.datasets.speech_commands import clips, lists
from speechbrain_fftp.datasets.speech_commands.lists import SILENCE, UNKNOWN

logger = logging.getLogger(__name__)

ARCHIVE_URL = "http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz"
TABLES = ("train.csv", "valid.csv", "test.csv", "classes.csv", "skipped.csv")
# Not written again after a kill
RESUMED = ("flac", "unpacked")
FOLDERS = (*RESUMED, "silence", "noise")
Row = namedtuple("Row", "ID duration wav label path")  # the path is not written


def prepare_speech_commands(
    data_folder,
    prepared_folder,
    task="12",
    sample_rate=16000,
    clip_seconds=1.0,
    skip_prep=False,
):
    """Converts the clips and writes the manifests of the recipe.

    Writes ``flac/ID.flac``, ``silence/``, ``train.csv``, ``valid.csv`` and
    ``test.csv``, with paths relative to ``$data_root``, the prepared folder,
    ``classes.csv``, ``skipped.csv`` with each file that cannot be used and why,
    and ``noise/NAME.flac``, the training part of each background recording.
    Returns at once if the prepared folder is complete.

    Arguments
    ---------
    data_folder : str
        Folder of the data set, or its archive (see above).
    prepared_folder : str
        Folder to write to.
    task : str or int
        What the classes are: ``12``, ``35`` or ``folders``.
    sample_rate : int
        Sampling rate of the clips, in Hz.
    clip_seconds : float
        Maximum clip length; only the beginning of longer clips is used.
    skip_prep : bool
        Whether to do nothing.

    Raises
    ------
    FileNotFoundError
        If the data folder or the archive is missing.
    ValueError
        If an argument is invalid, the archive is damaged, a folder is missing
        or empty, a split or a class has no usable clip, or the prepared folder was
        prepared with other settings or from data that have changed since.

    Example
    -------
    >>> data_folder = "/path/to/speech_commands"
    >>> prepare_speech_commands(data_folder, "prepared")  # doctest: +SKIP
    """
    if skip_prep:
        return
    data_folder = os.fspath(data_folder)
    prepared_folder = os.fspath(prepared_folder)
    task = str(task)
    if task not in lists.TASKS:
        names = ", ".join(lists.TASKS)
        raise ValueError(f"task is {task!r}, not one of {names}")
    if not (sample_rate >= 1000 and clip_seconds >= 0.1):
        raise ValueError(
            f"sample_rate is {sample_rate} and clip_seconds {clip_seconds}, not"
            " at least 1000 and 0.1"
        )
    settings = {
        "version": 1,
        "task": task,
        "sample_rate": sample_rate,
        "clip_seconds": clip_seconds,
        "data_folder": os.path.abspath(data_folder),
    }
    source = _source_state(data_folder, prepared_folder)
    with prepared.prepare_folder(
        prepared_folder, settings, source, TABLES, FOLDERS, RESUMED
    ) as todo:
        if not todo:
            logger.info("Using the data prepared in %s", prepared_folder)
            return
        data = _Clips(data_folder, prepared_folder, sample_rate, clip_seconds)
        classes, pool = data.add_words(task)
        recordings = data.add_noise()
        for split in lists.COMMAND_SPLITS if task == "12" else ():
            data.add_others(split, pool, recordings)
        data.write(classes)


def _source_state(data_folder, prepared_folder):
    """State of the archive, or of the clips and lists of the data folder."""
    if os.path.realpath(data_folder) == os.path.realpath(prepared_folder):
        raise ValueError(f"{data_folder} is the data: save to another folder")
    if os.path.isfile(data_folder) and lists.is_archive(data_folder):
        return prepared.source_state(
            [data_folder], os.path.dirname(data_folder)
        )
    if os.path.isdir(data_folder):
        words, _ = lists.list_words(data_folder, prepared_folder)
        names = [*lists.SPLIT_LISTS.values(), *itertools.chain(*words.values())]
        paths = (os.path.join(data_folder, name) for name in names)
        return prepared.source_state(paths, data_folder)
    unpacked = os.path.join(prepared_folder, "unpacked")
    is_unpacked = lists.is_archive(data_folder) and os.path.isdir(unpacked)
    if prepared.is_complete(prepared_folder) or is_unpacked:
        return None  # the data were deleted afterwards
    raise FileNotFoundError(
        f"data_folder {data_folder} is neither a folder with one folder per"
        f" word nor an archive such as that from {ARCHIVE_URL}"
    )


class _Clips:
    """Collects the usable clips of each split, and what is skipped."""

    def __init__(self, data_folder, prepared_folder, sample_rate, clip_seconds):
        """Lists the files and assigns the clips to splits."""
        if lists.is_archive(data_folder):
            unpacked = os.path.join(prepared_folder, "unpacked")
            data_folder = lists.unpack_archive(data_folder, unpacked)
        self.data_folder = data_folder
        self.prepared_folder = prepared_folder
        self.sample_rate = sample_rate
        self.clip_seconds = clip_seconds
        self.words, self.others = lists.list_words(data_folder, prepared_folder)
        self.noise = self.words.pop(lists.NOISE_FOLDER, [])
        paths = list(itertools.chain(*self.words.values()))
        self.ids = clip_ids([*paths, *self.noise])
        listed = lists.read_lists(data_folder)
        self.splits, self.skipped, doubled = lists.split_clips(paths, listed)
        if doubled:
            logger.warning("%d clips in both lists: used for testing", doubled)
        self.rows = {split: [] for split in lists.COMMAND_SPLITS}

    def add_words(self, task):
        """Adds the clips of a task; returns classes, and folders to draw from.

        Logs which folders and files are skipped.
        """
        classes, folders, pool = lists.task_classes(
            task, self.words, bool(self.noise), self.data_folder
        )
        check_class_names(classes, self.data_folder)
        unused = [w for w in self.words if w not in (*folders, *pool)]
        if unused:
            logger.warning(
                "Skipped folders that are empty or not a word of task %s: %s",
                task,
                ", ".join(unused),
            )
        for path in self.others:
            if path.split("/")[0] in (*folders, *pool):
                self.skipped[path] = "not named like audio"
        self.add(path for word in folders for path in self.words[word])
        return classes, pool

    def add(self, paths, label=None):
        """Adds the usable clips among some, and returns how many."""
        path_of = {self.ids[path]: path for path in paths}
        flac = os.path.join(self.prepared_folder, "flac")
        os.makedirs(flac, exist_ok=True)
        converted, failed = convert.convert_clips(
            dict.fromkeys(path_of, (self.clip_seconds, 0.0)),
            convert.AudioFiles(
                {
                    clip_id: os.path.join(self.data_folder, path)
                    for clip_id, path in path_of.items()
                }
            ).iter_audio,
            flac,
            self.sample_rate,
            name=label or "clips",
        )
        for clip_id, reason in failed.items():
            self.skipped[path_of[clip_id]] = reason
        for clip_id, seconds in converted.items():
            path = path_of[clip_id]
            row = Row(
                ID=clip_id,
                duration=seconds,
                wav=f"$data_root/flac/{clip_id}.flac",
                label=label or path.split("/")[0],
                path=path,
            )
            self.rows[self.splits[path]].append(row)
        return len(converted)

    def add_noise(self):
        """Reads the background recordings and writes their training parts."""
        recordings = {}
        rate = self.sample_rate
        for path in self.noise:
            source = os.path.join(self.data_folder, path)
            try:
                samples = clips.read_recording(source, rate)
            except ValueError as error:
                self.skipped[path] = str(error)
                continue
            recordings[path] = samples
            name = self.ids[path][len(f"{lists.NOISE_FOLDER}_") :]
            target = os.path.join(self.prepared_folder, "noise", f"{name}.flac")
            samples = clips.recording_part(samples, "train")
            clips.write_flac(target, samples, rate)
        return recordings

    def add_others(self, split, pool, recordings):
        """Adds as many clips of other words, and of silence, as of a command.

        Other words are chosen by a hash of their paths; silence is cut from the
        background recordings.
        """
        rows = self.rows[split]
        count = sum(row.label in lists.COMMANDS for row in rows)
        mean = max(round(count / len(lists.COMMANDS)), 1) if count else 0
        left = itertools.chain(*(self.words[word] for word in pool))
        left = [path for path in left if self.splits[path] == split]
        left.sort(key=lambda path: (text_digest(path), path))
        number = mean
        while number and left:
            chosen, left = left[:number], left[number:]
            number -= self.add(chosen, UNKNOWN)
        if SILENCE in self.words or not recordings:
            return
        rate = self.sample_rate
        size = round(self.clip_seconds * rate)
        for i in range(mean):
            place = f"silence/{split}-{i}.flac"
            samples = clips.cut_silence(recordings, split, i, size)
            path = os.path.join(self.prepared_folder, place)
            clips.write_flac(path, samples, rate)
            row = Row(
                ID=f"{SILENCE}-{split}-{i}",
                duration=len(samples) / rate,
                wav=f"$data_root/{place}",
                label=SILENCE,
                path="",
            )
            rows.append(row)

    def write(self, classes):
        """Writes the tables, if each split and class has clips."""
        path = os.path.join(self.prepared_folder, "skipped.csv")
        summary = prepared.write_skipped(path, self.skipped)
        for split, rows in self.rows.items():
            have = {row.label for row in rows}
            missing = ", ".join(label for label in classes if label not in have)
            if not rows or (missing and split == "train"):
                what = f"the class {missing} in " if rows else ""
                raise ValueError(
                    f"No clip of {what}the split {split}; skipped: {summary}."
                    f" See {path}: repair the data or its lists and prepare"
                    " again, or delete both lists to split the clips by speaker"
                )
            if missing:
                logger.warning("No clip of %s in the split %s", missing, split)
        if self.skipped:
            logger.warning("Skipped files: %s; all are in %s", summary, path)
        path = os.path.join(self.prepared_folder, "classes.csv")
        write_csv(path, ("index", "label"), enumerate(classes))
        times_seen = Counter()
        for split, rows in self.rows.items():
            path = os.path.join(self.prepared_folder, f"{split}.csv")
            write_csv(path, Row._fields[:4], (row[:4] for row in sorted(rows)))
            known = (lists.speaker_of(row.path) for row in rows)
            speakers = {speaker for speaker, is_known in known if is_known}
            times_seen.update(speakers)
            logger.info(
                "%s: %d clips of %d speakers", split, len(rows), len(speakers)
            )
        shared = [s for s, times in times_seen.items() if times > 1]
        if shared:
            logger.warning(
                "%d speakers are in more than one split, such as %s",
                len(shared),
                min(shared),
            )
        logger.info(
            "Prepared %d classes in %s", len(classes), self.prepared_folder
        )


def count_classes(task, data_folder, prepared_folder):
    """Number of classes of a task; 35 for custom words without any data."""
    if str(task) != "folders":
        return int(task)
    classes = os.path.join(prepared_folder, "classes.csv")
    if os.path.isfile(classes):
        return sum(1 for _ in read_table(classes, ("label",)))
    if not os.path.isdir(data_folder):
        return len(lists.COMMANDS + lists.OTHER_WORDS)
    words, _ = lists.list_words(data_folder, prepared_folder)
    words.pop(lists.NOISE_FOLDER, None)
    return sum(bool(paths) for paths in words.values())
