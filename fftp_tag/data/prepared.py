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
import functools
import logging
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import (
    Any,
    Callable,
    Collection,
    Dict,
    Iterable,
    Iterator,
    List,
    Optional,
    Sequence,
)

import numpy as np
import soundfile as sf

from fftp_tag.audio.decode import is_truncated
from fftp_tag.data.class_lists import write_classes
from fftp_tag.data.clips import SPLITS, Clip, Skipped, convert_clip
from fftp_tag.data.packs import PACKS, PackedClip, write_packs
from fftp_tag.errors import InputError, one_line_errors
from fftp_tag.files import (
    PREPARED,
    PathLike,
    file_sha256,
    read_json,
    write_csv,
    write_json,
)

logger = logging.getLogger(__name__)

SKIPPED = "skipped.csv"


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

    Raises
    ------
    InputError
        If a split has no usable clip.
    """
    if convert is None:
        convert = functools.partial(convert_clip, sample_rate=sample_rate)
    packed, failed = write_packs(folder, clips, convert, sample_rate)
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
