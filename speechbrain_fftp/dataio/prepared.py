"""Prepared folders: the clips of a data set, converted once into few files.

A prepared folder holds packs, ``wav/SPLIT-NUMBER.wav``, in 16 bits, each with
about a thousand clips of one split; a manifest of each split, ``SPLIT.csv``;
``classes.csv``; ``skipped.csv`` with the reason for each clip that cannot be
used; and ``prepared.json`` with the settings and, once the folder is complete,
the checksums of these tables.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import csv
import functools
import logging
import math
import os
import shutil
import wave
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import (
    Any,
    Callable,
    Collection,
    Dict,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    TextIO,
    Tuple,
    Union,
)

import numpy as np
import soundfile as sf
from tqdm import tqdm

from speechbrain_fftp.dataio.audio import is_truncated
from speechbrain_fftp.dataio.class_names import class_name
from speechbrain_fftp.dataio.clips import Clip, convert_clip
from speechbrain_fftp.dataio.errors import InputError, one_line_errors
from speechbrain_fftp.dataio.files import (
    PREPARED,
    atomic_path,
    file_sha256,
    read_json,
    write_csv,
    write_json,
)

logger = logging.getLogger(__name__)

PathLike = Union[str, os.PathLike]
Skipped = Tuple[str, str, str]  # id, split and reason

# The split that each name of a folder, a table or an entry stands for
SPLIT_NAMES = {
    "train": "train",
    "valid": "valid",
    "val": "valid",
    "eval": "eval",
    "test": "eval",
}
SPLITS = tuple(dict.fromkeys(SPLIT_NAMES.values()))
CLASSES_CSV = "classes.csv"
SKIPPED = "skipped.csv"
PACKS = "wav"
PACK_SECONDS = 10_000  # 320 MB at 16 kHz; a thousand clips of AudioSet
# A clip in several splits stays in the first of them
PRECEDENCE = ("eval", "valid", "train", "")


class PackedClip(NamedTuple):
    """The samples of a clip, as in manifests."""

    wav: str
    start: int
    stop: int


@contextlib.contextmanager
def preparing(folder: PathLike, settings: Dict[str, Any]) -> Iterator[bool]:
    """Prepares a folder unless it is complete, and marks it complete.

    Yields whether there is anything to do. If the block fails or the process
    is killed, the next call with the same settings keeps complete packs.

    Arguments
    ---------
    folder : str
        The prepared folder.
    settings : dict
        What the content depends on, as JSON. Those that are left out count as
        unchanged if the folder is complete.

    Raises
    ------
    InputError
        If the folder was made with other settings, holds other files, or is
        damaged.
    """
    before = read_record(folder)["settings"]
    changed = [key for key in settings if before.get(key) != settings[key]]
    remedy = (
        "Give another prepared_folder, or delete this one; a training with"
        " other data needs another output_folder, too."
    )
    if is_complete(folder):
        if changed:
            key = changed[0]
            raise InputError(
                f"{folder} was prepared with {key}={before.get(key)!r}, not"
                f" {settings[key]!r}. {remedy}"
            )
        check_prepared(folder)
        logger.info("Using the data prepared in %s", folder)
        yield False
        return
    os.makedirs(folder, exist_ok=True)
    others = os.listdir(folder)
    if others and PREPARED not in others:
        raise InputError(
            f"{folder} holds other files, such as {min(others)}. {remedy}"
        )
    if changed:
        shutil.rmtree(os.path.join(folder, PACKS), ignore_errors=True)
    write_json(Path(folder, PREPARED), {"settings": settings})
    yield True
    tables = {
        path.relative_to(folder).as_posix(): file_sha256(path)
        for path in sorted(Path(folder).rglob("*.[ct]sv"))
    }
    record = {"settings": settings, "tables": tables}
    write_json(Path(folder, PREPARED), record)


def read_record(folder: PathLike) -> Dict[str, Dict[str, Any]]:
    """The content of prepared.json.

    It has the settings and, if the folder is complete, the checksums of its
    tables; both are empty without such a file.
    """
    path = Path(folder, PREPARED)
    if not path.is_file():
        return {"settings": {}, "tables": {}}
    try:
        record = {"tables": {}, **read_json(path)}
    except InputError:
        record = {}
    if not all(isinstance(record.get(x), dict) for x in ("settings", "tables")):
        raise damaged(path, folder)
    return record


def is_complete(folder: PathLike) -> bool:
    """Whether a folder is a complete prepared folder."""
    return bool(read_record(folder)["tables"])


def check_prepared(folder: PathLike) -> None:
    """Raises an InputError if a table or a pack is missing or was changed."""
    tables = read_record(folder)["tables"]
    if not tables:
        raise InputError(
            f"{folder} is no prepared folder, or its preparation has not ended:"
            " prepare it, or prepare it again"
        )
    for name, checksum in tables.items():
        table = Path(folder, name)
        if not table.is_file() or file_sha256(table) != checksum:
            raise damaged(table, folder)
        if table.parent.name == PACKS:
            pack = table.with_suffix(".wav")
            try:
                with sf.SoundFile(pack) as file:
                    is_cut = is_truncated(file.extra_info)
            except sf.LibsndfileError:
                is_cut = True
            if is_cut:
                raise damaged(pack, folder)


# For the preparation of yaml files whose data are prepared beforehand
use_prepared = one_line_errors()(check_prepared)


def damaged(path: PathLike, folder: PathLike) -> InputError:
    """The error of a file in a prepared folder that is not as it was written."""
    return InputError(
        f"{path} is missing or damaged: delete {folder}, and its clips will be"
        " prepared again"
    )


def usable_clips(
    clips: List[Clip], folder: PathLike, allow_no_label: bool = False
) -> Tuple[List[Clip], List[Skipped]]:
    """Keeps clips with a label, each in one split.

    Arguments
    ---------
    clips : list of Clip
        The clips.
    folder : str
        The data folder, for messages.
    allow_no_label : bool
        Whether to keep clips without a label.

    Returns
    -------
    kept : list of Clip
        The usable clips.
    skipped : list
        The ids, splits and reasons of the others.
    """
    kept: Dict[str, Clip] = {}
    skipped = []
    in_two_splits = []
    for clip in sorted(clips, key=lambda clip: PRECEDENCE.index(clip.split)):
        first = kept.get(clip.id)
        if not clip.labels and not allow_no_label:
            reason = "no label"
        elif first is not None and first.split != clip.split:
            reason = f"also in {first.split} and kept only there"
            in_two_splits.append(clip.id)
        elif first is not None:
            reason = "listed twice"
        else:
            kept[clip.id] = clip
            continue
        skipped.append((clip.id, clip.split, reason))
    if in_two_splits:
        logger.warning(
            "%s: %d clips are in two splits, such as %s, and kept in one. Remove"
            " them from a list",
            folder,
            len(in_two_splits),
            in_two_splits[0],
        )
    return list(kept.values()), skipped


def check_missing(clips: List[Clip], allowed: float) -> None:
    """Raises an ``InputError`` if too many clips of a split have no audio."""
    for split in dict.fromkeys(clip.split for clip in clips):
        of_split = [clip for clip in clips if clip.split == split]
        missing = [clip.id for clip in of_split if clip.is_missing]
        fraction = len(missing) / len(of_split)
        if fraction > allowed:
            raise InputError(
                f"{len(missing)} of {len(of_split)} {split} clips have no"
                f" audio file, such as {missing[0]}: correct the data folder,"
                " or accept it with allow_missing"
                f" {math.ceil(100 * fraction) / 100:g}"
            )


def write_prepared(
    folder: PathLike,
    clips: List[Clip],
    classes: Dict[str, str],
    *,
    sample_rate: int,
    splits: Sequence[str] = SPLITS,
    may_be_empty: Collection[str] = (),
    skipped: Iterable[Skipped] = (),
    convert: Optional[Callable[[Clip], np.ndarray]] = None,
    num_workers: Optional[int] = None,
) -> None:
    """Converts clips into packs, and writes the tables of a prepared folder.

    Arguments
    ---------
    folder : str
        The prepared folder.
    clips : list of Clip
        The clips, each with a split.
    classes : dict
        The names of the classes by their ids, in order.
    sample_rate : int
        Sampling rate of the packs, in Hz.
    splits : sequence of str
        The splits, each of which gets a manifest.
    may_be_empty : sequence of str
        The splits that may have no clip.
    skipped : list
        Ids, splits and reasons of clips that are already skipped.
    convert : callable, optional
        Returns the 16-bit samples ``[S]`` of a clip; by default, converts its
        audio. It is called in threads.
    num_workers : int, optional
        Number of threads, by default a few more than CPUs.

    Raises
    ------
    InputError
        If a split has no usable clip.
    """
    if convert is None:
        convert = functools.partial(convert_clip, sample_rate=sample_rate)
    packed, failed = write_packs(
        folder, clips, convert, sample_rate, num_workers
    )
    skipped = [
        *skipped,
        *((c.id, c.split, failed[c.id]) for c in clips if c.id in failed),
    ]
    skipped_path = os.path.join(folder, SKIPPED)
    write_csv(skipped_path, ("ID", "split", "reason"), skipped)
    if skipped:
        kinds = Counter(reason.split(":")[0] for *_, reason in skipped)
        counts = ", ".join(f"{n} {kind}" for kind, n in kinds.items())
        logger.warning("Skipped clips: %s; all are in %s", counts, skipped_path)
    for split in splits:
        kept = [c for c in clips if c.split == split and c.id in packed]
        if not kept and split not in may_be_empty:
            # So that repaired clips are converted again
            shutil.rmtree(os.path.join(folder, PACKS))
            why = f"{skipped_path} says why"
            if all(clip.split != split for clip in clips):
                why = "all are in other splits"
            raise InputError(
                f"No clip of the {split} split can be used, {why}: repair the"
                " data, and prepare again."
            )
        logger.info("%s: %d clips", split, len(kept))
        present = {label for clip in kept for label in clip.labels}
        absent = [name for x, name in classes.items() if x not in present]
        if absent and split != "valid":
            logger.warning(
                "%s: no clip of %d classes, such as %s",
                split,
                len(absent),
                absent[0],
            )
        path = os.path.join(folder, f"{split}.csv")
        write_manifest(path, kept, packed, sample_rate, classes)
    write_classes(folder, classes)


def write_manifest(
    path: PathLike,
    clips: List[Clip],
    packed: Dict[str, PackedClip],
    sample_rate: int,
    classes: Dict[str, str],
) -> None:
    """Writes the manifest of a split, see ``write_prepared``."""
    rows = []
    for clip in clips:
        wav, start, stop = packed[clip.id]
        duration = (stop - start) / sample_rate
        labels = ";".join(classes[label] for label in clip.labels)
        rows.append((clip.id, duration, wav, start, stop, labels))
    header = ("ID", "duration", "wav", "start", "stop", "labels")
    write_csv(path, header, rows)


def write_classes(folder: PathLike, classes: Dict[str, str]) -> None:
    """Writes classes.csv."""
    rows = [(i, *entry) for i, entry in enumerate(classes.items())]
    header = ("index", "mid", "display_name")
    write_csv(os.path.join(folder, CLASSES_CSV), header, rows)


def write_packs(
    folder: PathLike,
    clips: List[Clip],
    convert: Callable[[Clip], np.ndarray],
    sample_rate: int,
    num_workers: Optional[int] = None,
) -> Tuple[Dict[str, PackedClip], Dict[str, str]]:
    """Converts clips into packs, and keeps packs that are complete.

    A table beside each pack has the first and last sample of each clip, or the
    reason why it is skipped. It is written last: a pack with a table is
    complete.

    Arguments
    ---------
    folder, clips, convert, sample_rate, num_workers
        See ``write_prepared``.

    Returns
    -------
    packed : dict
        A PackedClip for each converted clip, by id.
    failed : dict
        The reason of each failure, by id.
    """
    os.makedirs(os.path.join(folder, PACKS), exist_ok=True)

    def try_to_convert(clip: Clip) -> Tuple[np.ndarray, str]:
        """Returns samples, none after a failure, and the reason."""
        try:
            return convert(clip), ""
        except (OSError, ValueError) as error:
            return np.zeros(0, np.int16), str(error)

    packed = {}
    failed = {}
    with ThreadPoolExecutor(num_workers) as pool, tqdm(
        total=len(clips), desc="clips", unit="clip"
    ) as bar:
        for name, of_pack in cut_packs(clips).items():
            path = os.path.join(folder, PACKS, f"{name}.wav")
            table = os.path.join(folder, PACKS, f"{name}.csv")
            if os.path.isfile(table):
                bar.update(len(of_pack))
            else:
                converted = pool.map(try_to_convert, of_pack)
                rows = write_pack(path, of_pack, converted, sample_rate, bar)
                write_csv(table, ("ID", "start", "stop", "skipped"), rows)
            for _, row in read_table(table, ("ID", "start", "stop", "skipped")):
                start, stop = int(row["start"]), int(row["stop"])
                if start == stop:
                    failed[row["ID"]] = row["skipped"]
                else:
                    wav = f"$data_root/{PACKS}/{name}.wav"
                    packed[row["ID"]] = PackedClip(wav, start, stop)
    return packed, failed


def cut_packs(clips: List[Clip]) -> Dict[str, List[Clip]]:
    """Assigns clips to packs; returns lists of clips by the names of packs.

    A pack ends with the clip that reaches ``PACK_SECONDS``. Durations are the
    maximum ones, so the packs are the same before and after conversion.
    """
    packs: Dict[str, List[Clip]] = {}
    seconds: Dict[str, float] = {}  # of each split
    for clip in clips:
        before = seconds.get(clip.split, 0.0)
        number = int(before / PACK_SECONDS)
        packs.setdefault(f"{clip.split}-{number:04d}", []).append(clip)
        seconds[clip.split] = before + clip.seconds
    return packs


def write_pack(
    path: str,
    clips: List[Clip],
    converted: Iterable[Tuple[np.ndarray, str]],
    sample_rate: int,
    bar: tqdm,
) -> List[Tuple[str, int, int, str]]:
    """Writes a pack; returns id, start, stop and reason for each clip.

    ``converted`` yields the samples and the reason of each clip.
    """
    rows = []
    start = 0
    with atomic_path(path) as temporary, wave.open(temporary, "wb") as file:
        file.setparams((1, 2, sample_rate, 0, "NONE", ""))  # mono, 16 bits
        for clip, (samples, reason) in zip(clips, converted):
            file.writeframes(samples.astype("<i2").tobytes())
            stop = start + len(samples)
            rows.append((clip.id, start, stop, reason))
            start = stop
            bar.update()
    return rows


def read_packed(clip: PackedClip) -> Tuple[np.ndarray, int]:
    """Reads the samples ``[S]`` of a PackedClip, in 16 bits, and their rate.

    Raises
    ------
    InputError
        If the pack cannot be read.
    """
    try:
        return sf.read(
            clip.wav, start=clip.start, stop=clip.stop, dtype="int16"
        )
    except sf.LibsndfileError as error:
        raise InputError(
            f"{clip.wav} cannot be read: {error.error_string}"
        ) from error


def find_list(folder: PathLike, name: str) -> Optional[Path]:
    """Path of a file in the folder or one folder below, or None."""
    found = [Path(folder, name), *sorted(Path(folder).glob(f"*/{name}"))]
    return next((path for path in found if path.is_file()), None)


@contextlib.contextmanager
def open_csv(path: PathLike) -> Iterator[TextIO]:
    """Opens a CSV file in UTF-8, with errors that name the file."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            yield file
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path} is not a table in UTF-8, save it again as one: {error}"
        )


def read_table(
    path: PathLike, columns: Sequence[str], delimiter: str = ","
) -> Iterator[Tuple[int, Dict[str, str]]]:
    """Yields number and entries of each line of a CSV file with a header.

    Entries are stripped, and empty where a line ends early.

    Arguments
    ---------
    path : str
        The file.
    columns : sequence of str
        The columns that it must have.
    delimiter : str
        What separates the entries.

    Raises
    ------
    InputError
        If a column is missing, or a line has too many entries or a NUL byte.
    """
    with open_csv(path) as file:
        reader = csv.DictReader(
            file, delimiter=delimiter, skipinitialspace=True
        )
        header = reader.fieldnames or []
        for column in columns:
            if column not in header:
                raise InputError(f"{path} has no column '{column}': {header}")
        for row in reader:
            if None in row:
                raise InputError(
                    f"{path}, line {reader.line_num}: more entries than "
                    f"columns, the last are {row[None]}: put entries with "
                    f"{delimiter!r} in double quotes"
                )
            if any("\0" in (entry or "") for entry in row.values()):
                raise InputError(
                    f"{path}, line {reader.line_num}: there is a NUL byte: "
                    "save the table again as a CSV file in UTF-8"
                )
            yield (
                reader.line_num,
                {key: (entry or "").strip() for key, entry in row.items()},
            )


def read_class_list(path: PathLike) -> Dict[str, str]:
    """Reads a table of classes; returns a dict from mid to display name."""
    classes: Dict[str, str] = {}
    for line, row in read_table(path, ("mid", "display_name")):
        mid = row["mid"]
        name = class_name(row["display_name"], f"{path}, line {line}")
        if not mid or mid in classes or name in classes.values():
            raise InputError(
                f"{path}, line {line}: each class needs a unique mid and a"
                f" unique name, found {mid!r} and {name!r}"
            )
        classes[mid] = name
    if not classes:
        raise InputError(f"{path} lists no classes")
    return classes


def read_classes_csv(folder: PathLike) -> Dict[str, str]:
    """Reads a prepared folder's classes as a dict from mid to display name."""
    return read_class_list(os.path.join(folder, CLASSES_CSV))
