"""Prepares AudioSet (https://research.google.com/audioset) for tagging.

Reads the published lists and finds the audio of their segments.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import json
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from speechbrain.dataio import audio_io
from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)

CLASS_LIST = "class_labels_indices.csv"
LISTS = {
    "balanced": "balanced_train_segments.csv",
    "unbalanced": "unbalanced_train_segments.csv",
    "eval": "eval_segments.csv",
}
EXTENSIONS = (".flac", ".wav", ".mp3", ".ogg")
MOST_MISSING = 0.2  # maximum share of a split's clips without audio
READERS = 32  # threads, which mostly wait for disk or network


def prepare_audioset(
    data_folder,
    audio_folder,
    train_annotation,
    valid_annotation,
    test_annotation,
    splits=("balanced",),
    valid_fraction=0.05,
    skip_prep=False,
):
    """Writes the manifests of the training, validation and test clips.

    They have the columns ID, duration (in seconds), wav (a path relative to
    ``$data_root``, the audio folder), start and stop (in samples) and labels
    (class names joined by ``;``).
    Manifests that were written with the same arguments are kept, even if the
    folders have changed since.

    Arguments
    ---------
    data_folder : str
        Holds ``class_labels_indices.csv`` and the lists of segments.
    audio_folder : str
        The clips, in any folder below it: a mono file ``ID.flac`` or
        ``YID.wav`` per segment, cut to the segment, at the sampling rate of
        the model.
    train_annotation, valid_annotation, test_annotation : str
        The csv files to write.
    splits : sequence of str
        The splits to train on: ``balanced``, ``unbalanced`` or both.
    valid_fraction : float
        Approximate fraction of the training clips to hold out for validation.
    skip_prep : bool
        If True, skip the preparation.

    Raises
    ------
    FileNotFoundError
        If a list, or the audio of more than a fifth of a split, is missing.
    ValueError
        If a list cannot be read, or a manifest would be empty.
    """
    if skip_prep:
        return
    settings = {
        "data_folder": str(data_folder),
        "audio_folder": str(audio_folder),
        "splits": list(splits),
        "valid_fraction": valid_fraction,
    }
    manifests = [train_annotation, valid_annotation, test_annotation]
    done = Path(f"{train_annotation}.json")  # written last
    if done.is_file() and all(Path(path).is_file() for path in manifests):
        if json.loads(done.read_text("utf-8")) == settings:
            logger.info("Preparation completed in a previous run, skipping.")
            return
    done.unlink(missing_ok=True)
    names = read_classes(Path(data_folder) / CLASS_LIST)
    paths = find_audio(audio_folder)
    train, held_out = {}, {}
    for split in splits:
        listed = read_segments(Path(data_folder) / LISTS[split], names)
        rows = manifest_rows(listed, paths, audio_folder, split)
        for clip, row in rows.items():
            # The same clips, even if some are missing
            place = zlib.crc32(clip.encode()) / 2**32
            if place < valid_fraction:
                held_out[clip] = row
            else:
                train[clip] = row
    listed = read_segments(Path(data_folder) / LISTS["eval"], names)
    test = manifest_rows(listed, paths, audio_folder, "eval")
    both = {**train, **held_out}.keys() & test.keys()
    if both:
        raise ValueError(
            f"{len(both)} clips are in training and evaluation lists, such as "
            f"{min(both)}: remove them from a list in {data_folder}."
        )
    for path, rows in zip(manifests, [train, held_out, test]):
        write_manifest(rows, path)
    done.write_text(json.dumps(settings), encoding="utf-8")


def read_classes(path):
    """Reads the list of classes.

    Arguments
    ---------
    path : str or pathlib.Path
        The file ``class_labels_indices.csv``.

    Returns
    -------
    dict
        The names of the classes by their mids, in the order of the list.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"{path} is missing: download it, or correct --data_folder."
        )
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"mid", "display_name"} <= {*rows[0]}:
        raise ValueError(f"{path} needs the columns mid and display_name.")
    return {row["mid"]: row["display_name"] for row in rows}


def read_segments(path, names):
    """Reads a list of segments, with rows ``id, start, end, "mid,mid"``.

    Arguments
    ---------
    path : pathlib.Path
        The list; lines that start with ``#`` are comments.
    names : dict
        The names of the classes by their mids.

    Returns
    -------
    dict
        The names of each clip's classes by its id.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: download it, or correct --data_folder."
        )
    listed = {}
    with open(path, newline="", encoding="utf-8") as file:
        lines = (line for line in file if not line.startswith("#"))
        for row in csv.reader(lines, skipinitialspace=True):
            if len(row) != 4 or not row[3]:
                raise ValueError(
                    f'{path}: expected id, start, end, "mid,mid", not {row}'
                )
            mids = row[3].split(",")
            unknown = [mid for mid in mids if mid not in names]
            if unknown:
                raise ValueError(
                    f"{path}: {CLASS_LIST} does not list {unknown[0]}: take "
                    "both from the same release."
                )
            listed[row[0]] = [names[mid] for mid in mids]
    return listed


def find_audio(audio_folder):
    """Finds audio files.

    Arguments
    ---------
    audio_folder : str
        The folder to search, including its subfolders.

    Returns
    -------
    dict
        Paths by the files' names without extension.
    """
    paths = {}
    for folder, _, names in os.walk(audio_folder, followlinks=True):
        for name in names:
            stem, extension = os.path.splitext(name)
            if extension.lower() in EXTENSIONS:
                paths[stem] = os.path.join(folder, name)
    return paths


def read_info(path):
    """Reads the header of a clip's file.

    Arguments
    ---------
    path : str
        The audio file.

    Returns
    -------
    AudioInfo or None
        None if the file cannot be read, or is empty.
    """
    try:
        info = audio_io.info(path)
    except RuntimeError as error:
        logger.warning("%s cannot be read: %s", path, error)
        return None
    return info if info.frames else None


def manifest_rows(listed, paths, audio_folder, split):
    """Makes the rows of a manifest; logs how many clips have no audio.

    Arguments
    ---------
    listed : dict
        The names of each clip's classes by its id.
    paths : dict
        The paths of audio files by their names without extension.
    audio_folder : str
        The folder to which paths in manifests are relative.
    split : str
        The name of the split, for messages.

    Returns
    -------
    dict
        Rows by the clips' ids.

    Raises
    ------
    FileNotFoundError
        If the audio of more than a fifth of the clips is missing.
    """
    found = {clip: paths.get(clip) or paths.get(f"Y{clip}") for clip in listed}
    found = {clip: path for clip, path in found.items() if path}
    with ThreadPoolExecutor(READERS) as pool:
        infos = pool.map(read_info, found.values())
        clips = {
            clip: {
                "ID": clip,
                "duration": info.duration,
                "wav": f"$data_root/{os.path.relpath(path, audio_folder)}",
                "start": 0,
                "stop": info.frames,
                "labels": ";".join(listed[clip]),
            }
            for (clip, path), info in zip(found.items(), infos)
            if info
        }
    missing = len(listed) - len(clips)
    logger.info("%s: %d clips, %d without audio", split, len(clips), missing)
    if missing > MOST_MISSING * len(listed):
        raise FileNotFoundError(
            f"{missing} of {len(listed)} clips of the {split} split have no "
            "readable audio: is --audio_folder right?"
        )
    return clips


def write_manifest(clips, path):
    """Writes a manifest.

    Arguments
    ---------
    clips : dict
        Rows by id.
    path : str
        The csv file.
    """
    if not clips:
        raise ValueError(
            f"{path} would be empty: the lists have too few clips, or "
            "valid_fraction is too small or too large."
        )
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        header = ["ID", "duration", "wav", "start", "stop", "labels"]
        writer = csv.DictWriter(file, header)
        writer.writeheader()
        writer.writerows(row for _, row in sorted(clips.items()))
    logger.info("Wrote %d clips to %s", len(clips), path)
