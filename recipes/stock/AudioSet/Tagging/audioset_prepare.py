"""Prepares AudioSet (https://research.google.com/audioset) for tagging.

It reads the published lists and a folder of clips, or the parquet files of a
copy on Hugging Face.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import json
import os
import zlib
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
# What the parquet files of a split, or their folders, are named after
PARQUET = {"balanced": "bal_train", "unbalanced": "unbal_train", "eval": "eval"}
EXTENSIONS = (".flac", ".wav", ".mp3", ".ogg")
MOST_MISSING = 0.2  # of a split's clips


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

    They have the columns ID, duration (in seconds), wav and labels, the mids
    of a clip's classes with ``;`` between them. Manifests that were written
    with the same arguments are kept, whatever has changed in the folders since.

    Arguments
    ---------
    data_folder : str
        Holds ``class_labels_indices.csv`` and either the lists of segments or,
        in any folder below it, parquet files.
    audio_folder : str
        The clips, in any folder below it: a file ``ID.flac`` or ``YID.wav``
        for each segment, of that segment alone. The clips of parquet files are
        written there.
    train_annotation, valid_annotation, test_annotation : str
        The csv files to write.
    splits : sequence of str
        Those to train on: ``balanced``, ``unbalanced`` or both.
    valid_fraction : float
        About what fraction of their clips is for validation.
    skip_prep : bool
        If True, skip the preparation.

    Raises
    ------
    FileNotFoundError
        If a list is missing, or the audio of more than a fifth of a split.
    ValueError
        If a list cannot be read, or a manifest would be empty.
    """
    if skip_prep:
        return
    manifests = train_annotation, valid_annotation, test_annotation
    settings = {
        "data_folder": str(data_folder),
        "audio_folder": str(audio_folder),
        "splits": list(splits),
        "valid_fraction": valid_fraction,
    }
    done = Path(f"{train_annotation}.json")  # written last
    if done.is_file() and all(map(os.path.isfile, manifests)):
        if json.loads(done.read_text("utf-8")) == settings:
            logger.info("Preparation completed in a previous run, skipping.")
            return
    done.unlink(missing_ok=True)
    classes = read_classes(data_folder)
    parquet, listed = sorted(Path(data_folder).rglob("*.parquet")), {}
    for split in (*splits, "eval"):
        files = of_split(parquet, split)
        if files:
            listed[split] = unpack_parquet(files, audio_folder)
        else:
            path = Path(data_folder) / LISTS[split]
            if not path.is_file():
                raise FileNotFoundError(
                    f"{path} is missing, and there are no parquet files in a "
                    f"folder {PARQUET[split]}: download one of them."
                )
            listed[split] = read_segments(path)
        mids = {mid for row in listed[split].values() for mid in row}
        unknown = sorted(mids - {*classes})
        if unknown:
            raise ValueError(
                f"{data_folder}: the {split} split has the labels "
                f"{unknown[:5]}, which {CLASS_LIST} does not list: take both "
                "from the same release."
            )
    paths = find_audio(audio_folder)
    clips = {k: manifest_rows(v, paths, k) for k, v in listed.items()}
    held_out, train = {}, {}
    for split in splits:
        for clip, row in clips[split].items():
            # The same clips, whichever are missing
            place = zlib.crc32(clip.encode()) / 2**32
            (held_out if place < valid_fraction else train)[clip] = row
    both = {**train, **held_out}.keys() & clips["eval"].keys()
    if both:
        raise ValueError(
            f"{len(both)} clips are for training and evaluation, such as "
            f"{min(both)}: remove them from a list in {data_folder}."
        )
    write_manifest(train, train_annotation)
    write_manifest(held_out, valid_annotation)
    write_manifest(clips["eval"], test_annotation)
    done.write_text(json.dumps(settings), encoding="utf-8")


def read_classes(data_folder):
    """Reads the list of classes.

    Arguments
    ---------
    data_folder : str
        Holds ``class_labels_indices.csv``.

    Returns
    -------
    dict
        The names of the classes by their mids, in the order of the list.
    """
    path = Path(data_folder) / CLASS_LIST
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing: download it, or correct --data_folder."
        )
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"mid", "display_name"} <= {*rows[0]}:
        raise ValueError(f"{path} needs the columns mid and display_name.")
    return {row["mid"]: row["display_name"] for row in rows}


def read_segments(path):
    """Reads a list of segments, with rows ``id, start, end, "mid,mid"``.

    Arguments
    ---------
    path : str
        The list; lines that start with ``#`` are comments.

    Returns
    -------
    dict
        The mids of each clip by its id.
    """
    listed = {}
    with open(path, newline="", encoding="utf-8") as file:
        lines = (line for line in file if not line.startswith("#"))
        for row in csv.reader(lines, skipinitialspace=True):
            if len(row) != 4 or not row[3]:
                raise ValueError(
                    f'{path}: expected id, start, end, "mid,mid", not {row}'
                )
            listed[row[0]] = row[3].split(",")
    return listed


def of_split(parquet, split):
    """Chooses the parquet files of a split.

    Arguments
    ---------
    parquet : list of pathlib.Path
        Those of all splits.
    split : str
        A key of ``PARQUET``.

    Returns
    -------
    list of pathlib.Path
        Files that are named after the split, or in a folder that is.
    """
    start = PARQUET[split]
    return [
        p for p in parquet if p.name.startswith(start) or p.parent.name == start
    ]


def unpack_parquet(files, audio_folder):
    """Writes the clips of parquet files as they are; existing ones are kept.

    Arguments
    ---------
    files : list of pathlib.Path
        Their columns are ``video_id``, ``audio`` (bytes and path) and
        ``labels`` (mids).
    audio_folder : str
        Where to write the clips.

    Returns
    -------
    dict
        The mids of each clip by its id.
    """
    import pyarrow.parquet

    os.makedirs(audio_folder, exist_ok=True)
    columns, listed = ["video_id", "audio", "labels"], {}
    for path in files:
        with pyarrow.parquet.ParquetFile(path) as file:
            for group in file.iter_batches(batch_size=100, columns=columns):
                for row in group.to_pylist():
                    listed[row["video_id"]] = row["labels"]
                    ending = os.path.splitext(row["audio"]["path"] or "")[1]
                    name = row["video_id"] + (ending or ".flac")
                    clip = Path(audio_folder) / name
                    if not clip.exists():
                        part = clip.with_suffix(".part")
                        part.write_bytes(row["audio"]["bytes"])
                        os.replace(part, clip)
    return listed


def find_audio(audio_folder):
    """Finds audio files.

    Arguments
    ---------
    audio_folder : str
        The folder below which they are.

    Returns
    -------
    dict
        Paths by the files' names without extension.
    """
    paths = {}
    for folder, _, names in os.walk(audio_folder):
        for name in names:
            stem, ending = os.path.splitext(name)
            if ending.lower() in EXTENSIONS:
                paths[stem] = os.path.join(folder, name)
    return paths


def manifest_rows(listed, paths, split):
    """Rows of a manifest; logs how many clips have no audio.

    Arguments
    ---------
    listed : dict
        The mids of each clip by its id.
    paths : dict
        The paths of audio files by their names without extension.
    split : str
        Its name, for messages.

    Returns
    -------
    dict
        Rows by the clips' ids.

    Raises
    ------
    FileNotFoundError
        If the audio of more than a fifth of the clips is missing.
    """
    clips, unreadable = {}, []
    for clip, mids in listed.items():
        path = paths.get(clip) or paths.get(f"Y{clip}")
        if path is None:
            continue
        try:
            about = audio_io.info(path)
        except RuntimeError as error:
            unreadable.append(f"{path} ({error})")
            continue
        clips[clip] = {
            "ID": clip,
            "duration": about.num_frames / about.sample_rate,
            "wav": path,
            "labels": ";".join(mids),
        }
    if unreadable:
        logger.warning(
            "%d files cannot be read, such as %s",
            len(unreadable),
            unreadable[0],
        )
    missing = len(listed) - len(clips)
    logger.info("%s: %d clips, %d without audio", split, len(clips), missing)
    if missing > MOST_MISSING * len(listed):
        raise FileNotFoundError(
            f"{missing} of {len(listed)} clips of the {split} split have no "
            "audio that can be read. Is --audio_folder right?"
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
        writer = csv.DictWriter(file, ["ID", "duration", "wav", "labels"])
        writer.writeheader()
        writer.writerows(row for _, row in sorted(clips.items()))
    logger.info("Wrote %d clips to %s", len(clips), path)
