"""Clips, classes and manifests: what all prepared data sets have in common.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import csv
import dataclasses
import logging
import math
import os
import re
from collections import Counter
from typing import Callable, NamedTuple, Optional, Tuple

from speechbrain_fftp.dataio.files import write_csv, write_json
from speechbrain_fftp.datasets import convert, prepared
from speechbrain_fftp.datasets.names import hash_fraction

logger = logging.getLogger(__name__)

SPLITS = ("train", "valid", "eval")
CLIP_SECONDS = 10.0
VALID_FRACTION = 0.05
STORAGE_FORMATS = ("flac", "webdataset")
REPORT = "prepare_report.json"
TABLES = (
    *(f"{split}.csv" for split in SPLITS),
    "classes.csv",
    "label_statistics.csv",
    REPORT,
)
FOLDERS = ("flac", "shards")
# SpeechBrain's label encoder writes ' => ' between name and number; the last
# range stands for bytes of file names that are not UTF-8
NOT_IN_CLASS_NAMES = re.compile(r"[;$\x00-\x1f]| => |[\ud800-\udfff]")
# File systems allow 255, and .flac.01234567.tmp is added
MAX_NAME_BYTES = 235
NOT_IN_FILE_NAMES = re.compile(r'[/\\:*?"<>|$\x00-\x1f]|\.\.|^$')


class Clip(NamedTuple):
    """One labelled clip, by default the first 10 s of its audio."""

    id: str
    start: float = 0.0  # in seconds
    end: float = CLIP_SECONDS
    mids: Tuple[str, ...] = ()  # the ids of its classes


@dataclasses.dataclass
class DataFolder:
    """What a data folder holds, before it is prepared."""

    folder: str
    classes: dict  # from mid to display name
    list_clips: Callable[[], dict]  # returns the Clips of each split
    audio: (
        dict  # of each split: convert.AudioFiles, or another with its methods
    )
    files: list  # all files that the prepared clips depend on
    has_negatives: bool = False  # whether clips without labels are kept
    # Whether clips are cut out of files, even if these are not longer
    cut_always: bool = False
    # All Clips, of data whose splits are not given but assigned
    list_unsplit: Optional[Callable] = None
    notes: dict = dataclasses.field(default_factory=dict)  # for the report
    # Says which audio files there are; None if all clips were listed because
    # their files exist
    describe_files: Optional[Callable] = None


@contextlib.contextmanager
def open_csv(path):
    """Opens a CSV file in UTF-8, with errors that name the file."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            yield file
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is not a CSV file in UTF-8: {error}")


def read_table(path, columns, delimiter=","):
    """Yields number and entries of each line of a CSV file with a header.

    Entries are stripped, and empty where a line ends early. Columns that are
    missing, and lines with too many entries, are errors.
    """
    with open_csv(path) as file:
        reader = csv.DictReader(
            file, delimiter=delimiter, skipinitialspace=True
        )
        header = reader.fieldnames or []
        for column in columns:
            if column not in header:
                raise ValueError(f"{path} has no column '{column}': {header}")
        for row in reader:
            if None in row:
                separator = {",": "a comma", "\t": "a tab"}[delimiter]
                raise ValueError(
                    f"{path}, line {reader.line_num}: more entries than "
                    f"columns, the last are {row[None]}: put entries with "
                    f"{separator} in double quotes"
                )
            yield (
                reader.line_num,
                {key: (entry or "").strip() for key, entry in row.items()},
            )


def read_class_list(path):
    """Reads a table of classes; returns a dict from mid to display name."""
    classes = {}
    names = set()
    for line, row in read_table(path, ("mid", "display_name")):
        mid = row["mid"]
        name = row["display_name"]
        if not mid or not name or mid in classes or name in names:
            raise ValueError(
                f"{path}, line {line}: each class needs a mid and a name of its"
                f" own, found {mid!r} and {name!r}"
            )
        classes[mid] = name
        names.add(name)
    if not classes:
        raise ValueError(f"{path} lists no class")
    return classes


def read_classes_csv(prepared_folder):
    """Classes of a prepared folder, as a dict from mid to display name."""
    return read_class_list(os.path.join(prepared_folder, "classes.csv"))


def check_class_names(names, origin):
    """Raises a ValueError for names that manifests cannot hold."""
    for name in names:
        if NOT_IN_CLASS_NAMES.search(name):
            raise ValueError(
                f"{origin}: rename {name!r}: ';', '$', ' => ' and control"
                " characters have a special meaning in manifests"
            )


def unique(names):
    """Drops blanks and duplicates and keeps the order."""
    return tuple(
        dict.fromkeys(name.strip() for name in names if name and name.strip())
    )


def prepare_clips(
    open_folder,
    data_folder,
    prepared_folder,
    *,
    sample_rate=16000,
    valid_fraction=VALID_FRACTION,
    unbalanced=False,
    format="flac",
    clips_per_shard=1000,
    allow_missing=0.2,
    num_workers=None,
    **settings,
):
    """Converts the clips of a data folder once and writes the manifests.

    ``open_folder`` returns a DataFolder. ``settings`` are others that the
    content depends on; those that are None are not recorded. For the remaining
    arguments and the errors see ``audioset.prepare.prepare_audioset``.
    """
    if not 0 < valid_fraction < 1:
        raise ValueError(f"valid_fraction is {valid_fraction}, not in (0, 1)")
    if not 0 <= allow_missing <= 1:
        raise ValueError(f"allow_missing is {allow_missing}, not in [0, 1]")
    if format not in STORAGE_FORMATS:
        raise ValueError(f"format is {format!r}, not one of {STORAGE_FORMATS}")
    if clips_per_shard < 1:
        raise ValueError(f"clips_per_shard is {clips_per_shard}, less than 1")
    recorded = {
        "valid_fraction": valid_fraction,
        "sample_rate": sample_rate,
        "unbalanced": unbalanced,
        "format": format,
        **{key: value for key, value in settings.items() if value is not None},
    }
    if os.path.isfile(os.path.join(prepared_folder, "train.json")):
        raise ValueError(
            f"{prepared_folder} holds shards of an earlier version."
            f" {prepared.OTHER_FOLDER}"
        )
    try:
        data = open_folder()
        source = prepared.source_state(data.files, os.path.abspath(data_folder))
    except FileNotFoundError:
        if not prepared.is_complete(prepared_folder):
            raise
        source = None  # the data were deleted after the preparation
    with prepared.prepare_folder(
        prepared_folder, recorded, source, TABLES, FOLDERS, resume=FOLDERS
    ) as to_do:
        if not to_do:
            logger.info("Using the data prepared in %s", prepared_folder)
            return
        if source is None:
            data = open_folder()  # says what is missing
        write_prepared(
            data,
            prepared_folder,
            sample_rate=sample_rate,
            valid_fraction=valid_fraction,
            format=format,
            clips_per_shard=clips_per_shard,
            allow_missing=allow_missing,
            num_workers=num_workers,
        )


def write_prepared(
    data,
    prepared_folder,
    *,
    sample_rate,
    valid_fraction,
    format,
    clips_per_shard,
    allow_missing,
    num_workers,
):
    """Writes audio, manifests and report of a DataFolder."""
    listed = data.list_clips()
    chosen, skipped, unknown_mids = choose_clips(
        listed, data.classes, data.has_negatives
    )
    check_missing(chosen, data, allow_missing)
    hold_out_valid = "valid" not in listed
    if hold_out_valid and format == "webdataset":
        # Before they are converted, since shards hold training clips only
        chosen = hold_out(chosen, valid_fraction)
    durations = {}
    reasons = {}
    os.makedirs(os.path.join(prepared_folder, "flac"), exist_ok=True)
    for split, clips in chosen.items():
        audio = data.audio.get(split, data.audio["train"])
        if split == "train" and format == "webdataset":
            converted, failed = convert.write_shards(
                clips,
                audio,
                os.path.join(prepared_folder, "shards"),
                classes=data.classes,
                sample_rate=sample_rate,
                clips_per_shard=clips_per_shard,
                cut_always=data.cut_always,
                num_workers=num_workers,
            )
        else:
            converted, failed = convert.convert_clips(
                {
                    clip.id: (clip.end - clip.start, clip.start)
                    for clip in clips
                },
                audio.iter_audio,
                os.path.join(prepared_folder, "flac"),
                sample_rate,
                num_workers=num_workers,
                name=split,
                always=data.cut_always,
            )
        durations.update(converted)
        reasons.update(failed)
    skipped += [
        {"id": clip.id, "split": split, "reason": reasons[clip.id]}
        for split, clips in chosen.items()
        for clip in clips
        if clip.id in reasons
    ]
    kept = {
        split: [clip for clip in chosen[split] if clip.id in durations]
        for split in SPLITS
        if split in chosen
    }
    if hold_out_valid and format == "flac":  # of the clips that can be used
        kept = hold_out(kept, valid_fraction)
    notes = {
        "valid_is_held_out_of_train": hold_out_valid,
        "unknown_mids": unknown_mids,
        **data.notes,
    }
    write_report(
        prepared_folder,
        data.folder,
        listed=listed,
        kept=kept,
        skipped=skipped,
        notes=notes,
    )
    write_tables(
        prepared_folder,
        kept,
        durations,
        data.classes,
        in_shards=format == "webdataset",
    )


def choose_clips(listed, classes, has_negatives):
    """Keeps each clip once, with eval before valid before train.

    Clips without labels are kept if ``has_negatives``.

    Returns the clips of each split, the skipped ones (dicts with id, split and
    reason), and a Counter of mids that are not among the classes.
    """
    chosen = {}
    skipped = []
    unknown_mids = Counter()
    split_of = {}
    for split in ("eval", "valid", "train"):
        chosen[split] = []
        for clip in listed.get(split, ()):
            unknown_mids.update(m for m in clip.mids if m not in classes)
            is_known = any(mid in classes for mid in clip.mids)
            is_negative = has_negatives and not clip.mids
            too_long = len(clip.id.encode()) > MAX_NAME_BYTES
            if too_long or NOT_IN_FILE_NAMES.search(clip.id):
                reason = "id cannot be a file name"
            elif split_of.get(clip.id) == split:
                reason = "duplicate"
            elif clip.id in split_of:
                reason = f"also in {split_of[clip.id]} and kept only there"
            elif not is_known and not is_negative:
                reason = "no known label"
            else:
                split_of[clip.id] = split
                chosen[split].append(clip)
                continue
            skipped.append({"id": clip.id, "split": split, "reason": reason})
    return chosen, skipped, unknown_mids


def hold_out(clips, fraction):
    """Moves clips of train to valid, at least one, by a hash of their ids."""
    places = [hash_fraction(clip.id) for clip in clips["train"]]
    limit = max(fraction, min(places, default=0))
    train = []
    valid = []
    for clip, place in zip(clips["train"], places):
        if place <= limit:
            valid.append(clip)
        else:
            train.append(clip)
    return {"train": train, "valid": valid, "eval": clips["eval"]}


def check_missing(chosen, data, allowed):
    """Raises a ValueError if too many clips of a split have no audio."""
    if data.describe_files is None:
        return
    counts = []
    largest_fraction = 0
    for split, clips in chosen.items():
        if not clips:
            continue
        ids = {clip.id for clip in clips}
        absent = ids - data.audio.get(split, data.audio["train"]).available(ids)
        fraction = len(absent) / len(ids)
        largest_fraction = max(largest_fraction, fraction)
        counts.append(
            f"{len(absent)} of {len(ids)} {split} clips ({fraction:.0%})"
        )
    if largest_fraction > allowed:
        enough = math.ceil(100 * largest_fraction) / 100
        raise ValueError(
            f"No audio of {', '.join(counts)}; {data.describe_files()}."
            " Correct the data folder, or accept that these clips are missing:"
            f" --allow_missing {enough:g} (allow_missing: {enough:g})"
        )


def write_report(prepared_folder, data_folder, *, listed, kept, skipped, notes):
    """Counts clips and reasons; writes and logs the counts.

    A split without clips is a ValueError.
    """
    splits = {}
    for split, clips in kept.items():
        splits[split] = {
            "listed": len(listed.get(split, ())),
            "written": len(clips),
            "skipped": sum(clip["split"] == split for clip in skipped),
        }
    reasons = Counter(clip["reason"].split(":")[0] for clip in skipped)
    path = os.path.join(prepared_folder, REPORT)
    write_json(
        path,
        {
            "splits": splits,
            **notes,
            "skipped_reasons": reasons,
            "skipped": skipped,
        },
    )
    for split, clips in kept.items():
        if not clips:
            raise ValueError(
                f"No clip is left for the {split} split of {data_folder};"
                f" skipped: {_counted(reasons)}. All skipped clips are in"
                f" {path}: repair the data and prepare again."
            )
    sizes = {split: len(clips) for split, clips in kept.items()}
    logger.info("Clips in %s: %s", prepared_folder, _counted(sizes))
    if skipped:
        logger.warning("Skipped clips: %s; see %s", _counted(reasons), path)


def _counted(counts):
    """Such as "3 duplicate, 1 missing file"; "none" without any."""
    return ", ".join(f"{n} {name}" for name, n in counts.items()) or "none"


def write_tables(prepared_folder, kept, durations, classes, in_shards=False):
    """Writes classes, statistics and the manifests of the splits.

    Training clips in shards have no file, so that train.csv lacks the column
    ``wav``.
    """
    write_csv(
        os.path.join(prepared_folder, "classes.csv"),
        ("index", "mid", "display_name"),
        [(i, *entry) for i, entry in enumerate(classes.items())],
    )
    counts = [
        Counter(mid for clip in clips for mid in clip.mids)
        for clips in kept.values()
    ]
    write_csv(
        os.path.join(prepared_folder, "label_statistics.csv"),
        ("mid", "label", *kept),
        [(m, name, *(c[m] for c in counts)) for m, name in classes.items()],
    )
    for split, clips in kept.items():
        header = ["ID", "duration", "wav", "labels"]
        rows = []
        for clip in clips:
            labels = ";".join(classes[m] for m in clip.mids if m in classes)
            wav = f"$data_root/flac/{clip.id}.flac"
            rows.append([clip.id, durations[clip.id], wav, labels])
        if in_shards and split == "train":
            header.remove("wav")
            rows = [[row[0], row[1], row[3]] for row in rows]
        write_csv(os.path.join(prepared_folder, f"{split}.csv"), header, rows)
