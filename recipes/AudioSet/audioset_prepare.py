"""Prepares AudioSet for audio tagging.

AudioSet is a list of segments of videos. The data folder holds its lists, from
https://research.google.com/audioset/download.html, and, anywhere below, the
audio of the segments, or of the whole videos, in files that libsndfile reads.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import functools
import hashlib
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Optional, Tuple

from speechbrain.dataio import audio_io
from speechbrain.dataio.preprocess import AudioNormalizer
from speechbrain.utils.logger import get_logger
from speechbrain.utils.parallel import get_available_cpu_count, parallel_map

logger = get_logger(__name__)

LISTS_URL = "https://research.google.com/audioset/download.html"
CLASS_LIST = "class_labels_indices.csv"
SEGMENT_LISTS = {
    "train": "balanced_train_segments.csv",
    "unbalanced": "unbalanced_train_segments.csv",
    "valid": "valid_segments.csv",
    "eval": "eval_segments.csv",
}
CLIP_SECONDS = 10.0  # of a segment
EXTENSIONS = (".flac", ".wav", ".ogg", ".opus", ".mp3")
# File names written by download tools: an id of 11 characters, sometimes after
# a Y, and sometimes followed by times in seconds or milliseconds
FILE_NAME = re.compile(
    r"Y?(?P<id>[\w-]{11})"
    r"(?:_(?P<start>\d+(?:\.\d+)?)(?:[_-]\d+(?:\.\d+)?)?)?",
    re.ASCII,
)


class Segment(NamedTuple):
    """A segment of AudioSet."""

    id: str
    split: str
    start: float  # seconds
    stop: float
    mids: Tuple[str, ...]  # of its classes
    audio: Optional[str] = None  # a file with the segment, or the whole video


def prepare_audioset(
    data_folder,
    prepared_folder,
    sample_rate=16000,
    max_seconds=CLIP_SECONDS,
    unbalanced=False,
    valid_fraction=0.05,
    allow_missing=0.2,
    skip_prep=False,
):
    """Converts the clips to mono files, and writes the manifests.

    Writes ``train.csv``, ``valid.csv`` and ``eval.csv``, with the columns ID,
    duration (in seconds), wav (a path relative to ``$data_root``, the prepared
    folder), start and stop (in samples) and labels (names joined by ``;``);
    ``skipped.csv``, with the clips without usable audio; and ``classes.csv``,
    last: a folder that has it is complete, and is not prepared again.

    Arguments
    ---------
    data_folder : str
        Folder with AudioSet's lists and audio.
    prepared_folder : str
        Folder to write to.
    sample_rate : int
        Sampling rate of the clips, in Hz.
    max_seconds : float
        Longer clips are cut.
    unbalanced : bool
        Whether to add the unbalanced set to the training clips.
    valid_fraction : float
        Fraction of the training clips to hold out if there is no
        ``valid_segments.csv``.
    allow_missing : float
        Fraction of the clips of a split that may have no usable audio.
    skip_prep : bool
        Whether to do nothing.

    Raises
    ------
    FileNotFoundError
        If a list is missing.
    ValueError
        If a list is invalid, or too many clips of a split have no audio.
    """
    classes_path = os.path.join(prepared_folder, "classes.csv")
    if skip_prep or os.path.isfile(classes_path):
        return
    classes = read_classes(find_list(data_folder, CLASS_LIST))
    segments = list_segments(data_folder, classes, unbalanced)
    if all(segment.split != "valid" for segment in segments):
        segments = hold_out(segments, valid_fraction)
    os.makedirs(os.path.join(prepared_folder, "audio"), exist_ok=True)
    convert = functools.partial(
        convert_segment,
        folder=prepared_folder,
        sample_rate=sample_rate,
        max_seconds=max_seconds,
    )
    # Threads, since PyTorch may wait for ever in a forked process
    pool = ThreadPoolExecutor(get_available_cpu_count())
    skipped = []
    for split in ("train", "valid", "eval"):
        of_split = [x for x in segments if x.split == split]
        rows = []
        for segment, (stop, problem) in zip(
            of_split, parallel_map(convert, of_split, executor=pool)
        ):
            if problem:
                skipped.append((segment.id, split, problem))
                continue
            wav = f"$data_root/audio/{segment.id}.wav"
            labels = ";".join(classes[mid] for mid in segment.mids)
            duration = stop / sample_rate
            rows.append((segment.id, duration, wav, 0, stop, labels))
        is_empty = not rows and (of_split or split != "valid")
        if len(rows) < (1 - allow_missing) * len(of_split) or is_empty:
            raise ValueError(
                f"Only {len(rows)} of {len(of_split)} {split} clips have "
                f"usable audio below {data_folder}; the last one without: "
                f"{skipped[-1:]}. Add audio, or raise allow_missing."
            )
        logger.info(f"{split}: {len(rows)} of {len(of_split)} clips.")
        header = ("ID", "duration", "wav", "start", "stop", "labels")
        write_csv(os.path.join(prepared_folder, f"{split}.csv"), header, rows)
    path = os.path.join(prepared_folder, "skipped.csv")
    write_csv(path, ("ID", "split", "reason"), skipped)
    rows = [(n, *entry) for n, entry in enumerate(classes.items())]
    write_csv(classes_path, ("index", "mid", "display_name"), rows)


def find_list(data_folder, name):
    """Finds a list in the data folder, or in a folder in it."""
    paths = sorted(Path(data_folder).glob(name))
    paths += sorted(Path(data_folder).glob(f"*/{name}"))
    if not paths:
        raise FileNotFoundError(
            f"{data_folder} lacks {name}: download it from {LISTS_URL}"
        )
    return paths[0]


def read_classes(path):
    """Reads the list of classes; returns their names by mid."""
    with open(path, newline="", encoding="utf-8") as file:
        return {row["mid"]: row["display_name"] for row in csv.DictReader(file)}


def list_segments(data_folder, classes, unbalanced):
    """Lists the segments of all splits, with their audio files.

    Arguments
    ---------
    data_folder : str
        The data folder.
    classes : dict
        The names of the classes by mid.
    unbalanced : bool
        Whether the unbalanced set is used for training, too.

    Returns
    -------
    list of Segment
        The segments.

    Raises
    ------
    FileNotFoundError
        If a list is missing.
    ValueError
        If a list is invalid.
    """
    segments = []
    for split in ("train", "unbalanced", "valid", "eval"):
        if split == "unbalanced" and not unbalanced:
            continue
        try:
            path = find_list(data_folder, SEGMENT_LISTS[split])
        except FileNotFoundError:
            if split == "valid":  # is no list of AudioSet's
                continue
            raise
        split = "train" if split == "unbalanced" else split
        segments += read_segments(path, split, classes)
    return add_audio(data_folder, segments)


def read_segments(path, split, classes):
    """Reads a list of segments, in which lines with ``#`` are comments."""
    segments = []
    with open(path, newline="", encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip() or line.startswith("#"):
                continue
            try:
                fields = next(csv.reader([line], skipinitialspace=True))
                clip, start, stop, mids = (field.strip() for field in fields)
                start, stop = float(start), float(stop)
                mids = [mid.strip() for mid in mids.split(",") if mid.strip()]
                if not 0 <= start < stop:
                    raise ValueError("a segment must stop after its start")
                check_classes(mids, classes)
            except ValueError as error:
                raise ValueError(
                    f"{path}, line {number}: expected id, start, end, "
                    f'"mid,mid" but found {line.strip()[:80]!r} ({error})'
                ) from error
            mids = tuple(dict.fromkeys(mids))
            segments.append(Segment(clip, split, start, stop, mids))
    if not segments:
        raise ValueError(f"{path} lists no segment: the {split} split is empty")
    return segments


def check_classes(mids, classes):
    """Raises a ``ValueError`` for a mid that the list of classes lacks."""
    for mid in mids:
        if mid not in classes:
            raise ValueError(
                f"{CLASS_LIST} does not list {mid}: take both from the same "
                "release, or add the class to it"
            )


def add_audio(data_folder, segments):
    """Finds the audio files of segments below a folder, by their names."""
    starts = {segment.id: segment.start for segment in segments}
    paths = {}
    cut = set()  # ids of files with the segment's start in their names
    for folder, folders, names in os.walk(data_folder, followlinks=True):
        folders.sort()
        for name in sorted(names):
            stem, extension = os.path.splitext(name)
            if extension.lower() not in EXTENSIONS:
                continue
            clip, start = read_name(stem, starts)
            if clip is None or clip in paths:
                continue
            if start is not None:
                if not is_start(float(start), starts[clip]):
                    continue
                cut.add(clip)
            paths[clip] = os.path.join(folder, name)
    logger.info(f"{data_folder}: audio of {len(paths)} of {len(starts)} clips.")
    with_audio = []
    for segment in segments:
        segment = segment._replace(audio=paths.get(segment.id))
        if segment.id in cut:
            stop = segment.stop - segment.start
            segment = segment._replace(start=0.0, stop=stop)
        with_audio.append(segment)
    return with_audio


def read_name(stem, ids):
    """Parses the id and the start in a file's name, or None for either."""
    if stem in ids:
        return stem, None
    found = FILE_NAME.fullmatch(stem)
    if found and found["id"] in ids:
        return found["id"], found["start"]
    return None, None


def is_start(number, start):
    """Whether a number in a name, in s (maybe rounded) or ms, is the start."""
    return abs(number - start) < 1 or abs(number / 1000 - start) < 0.002


def hold_out(segments, fraction):
    """Moves at least one clip from train to valid, by a hash of the ids.

    With 0.0, moves none.
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"valid_fraction is {fraction}, not in [0, 1)")
    if fraction == 0:
        return segments
    position = {
        x.id: int(hashlib.sha1(x.id.encode()).hexdigest()[:8], 16) / 16**8
        for x in segments
        if x.split == "train"
    }
    usable = (position[x.id] for x in segments if x.id in position and x.audio)
    limit = max(fraction, min(usable, default=0))
    return [
        x._replace(split="valid") if position.get(x.id, 1) <= limit else x
        for x in segments
    ]


@functools.lru_cache
def get_normalizer(sample_rate):
    """The mono mix and the resampling to a rate, with its cached filters."""
    return AudioNormalizer(sample_rate)


def convert_segment(segment, folder, sample_rate, max_seconds):
    """Writes the clip of a segment, in 16 bits; keeps a file that exists.

    Arguments
    ---------
    segment : Segment
        The segment.
    folder : str
        The prepared folder.
    sample_rate : int
        Sampling rate of the clip, in Hz.
    max_seconds : float
        Maximum length of the clip.

    Returns
    -------
    stop : int
        Number of samples.
    problem : str
        Why the clip cannot be used; empty if it can.
    """
    if segment.audio is None:
        return 0, "no audio file"
    path = os.path.join(folder, "audio", f"{segment.id}.wav")
    if os.path.isfile(path):
        return audio_io.info(path).num_frames, ""
    try:
        info = audio_io.info(segment.audio)
        # A file that is not much longer than a segment holds nothing else
        is_video = info.duration > 1.5 * CLIP_SECONDS
        if is_video and info.duration < segment.stop - 0.5:
            return 0, "the audio ends before the segment"
        start = segment.start if is_video else 0.0
        seconds = min(segment.stop - segment.start, max_seconds)
        wav, rate = audio_io.load(
            segment.audio,
            channels_first=False,
            frame_offset=round(start * info.sample_rate),
            num_frames=round(seconds * info.sample_rate),
        )
    except RuntimeError as error:  # of libsndfile
        return 0, str(error)
    if len(wav) < 0.025 * rate:
        return 0, "shorter than 25 ms"
    wav = get_normalizer(sample_rate)(wav, rate)
    unfinished = f"{path}.unfinished.wav"
    audio_io.save(unfinished, wav, sample_rate, subtype="PCM_16")
    os.replace(unfinished, path)
    return len(wav), ""


def write_csv(path, header, rows):
    """Writes a table with a header."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
