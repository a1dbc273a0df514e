"""Prepared folders: the clips of a data set, converted once.

A prepared folder holds the clips, ``audio/ID.wav``, mono in 16 bits; a manifest
of each split, ``SPLIT.csv``; ``classes.csv``; ``skipped.csv`` with the reason
for each clip that cannot be used; and ``prepared.json`` with the settings and,
once the folder is complete, the checksums of these tables.
``recipes/AudioSet/audioset_prepare.py`` writes the same form.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import functools
import logging
import os
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

from fftp_tag.audio.pieces import as_wav
from fftp_tag.data.class_lists import write_classes
from fftp_tag.data.clips import SPLIT_NAMES, SPLITS, Clip, Skipped, convert_clip
from fftp_tag.data.tables import read_table
from fftp_tag.errors import InputError
from fftp_tag.files import (
    LEFT,
    PREPARED,
    PathLike,
    atomic_path,
    file_sha256,
    read_json,
    remove_leftovers,
    write_csv,
    write_json,
)
from fftp_tag.parallel import in_order

logger = logging.getLogger(__name__)

SKIPPED = "skipped.csv"
AUDIO = "audio"  # the folder of clips
MANIFEST = ("ID", "duration", "wav", "start", "stop", "labels")


@contextlib.contextmanager
def preparing(folder: PathLike, settings: dict[str, Any]) -> Iterator[bool]:
    """Prepares a folder unless it is complete, and marks it complete.

    Yields whether there is anything to do. If the block fails or the process
    is killed, the next call with the same settings keeps the clips.

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
        shutil.rmtree(os.path.join(folder, AUDIO), ignore_errors=True)
    write_json(Path(folder, PREPARED), {"settings": settings})
    yield True
    tables = {
        path.relative_to(folder).as_posix(): file_sha256(path)
        for path in sorted(Path(folder).glob("*.[ct]sv"))
    }
    record = {"settings": settings, "tables": tables}
    write_json(Path(folder, PREPARED), record)


def read_record(folder: PathLike) -> dict[str, dict[str, Any]]:
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


def check_prepared(folder: PathLike, max_clips: int = 50_000) -> None:
    """Raises an InputError if a table was changed, or a clip is not all there.

    Of more clips than ``max_clips``, some are checked. It is the preparation of
    yaml files whose data are prepared beforehand.
    """
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
    clips = list(read_manifest(folder))
    for clip, n_samples in clips[:: len(clips) // max_clips + 1]:
        if (
            not os.path.isfile(clip.audio)
            or os.path.getsize(clip.audio) < 2 * n_samples
        ):
            raise damaged(clip.audio, folder)


def damaged(path: PathLike, folder: PathLike) -> InputError:
    """The error of a file in a prepared folder that is not as it was written."""
    return InputError(
        f"{path} is missing or damaged: delete {folder}, and its clips will be"
        " prepared again"
    )


def write_prepared(
    folder: PathLike,
    clips: list[Clip],
    classes: dict[str, str],
    *,
    sample_rate: int,
    splits: Sequence[str] = SPLITS,
    may_be_empty: Collection[str] = (),
    skipped: Iterable[Skipped] = (),
    convert: Callable[[Clip], np.ndarray] | None = None,
) -> None:
    """Converts clips, and writes the tables of a prepared folder.

    Arguments
    ---------
    folder : str
        The prepared folder.
    clips : list of Clip
        The clips, each with a split.
    classes : dict
        The names of the classes by their ids, in order.
    sample_rate : int
        Sampling rate of the files, in Hz.
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
    sizes, failed = convert_clips(folder, clips, convert, sample_rate)
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
        kept = [c for c in clips if c.split == split and c.id in sizes]
        if not kept and split not in may_be_empty:
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
        if absent and present and split != "valid":  # some have labels
            logger.warning(
                "%s: no clip of %d classes, such as %s",
                split,
                len(absent),
                absent[0],
            )
        rows = []
        for clip in kept:
            wav = f"$data_root/{AUDIO}/{clip.id}.wav"
            stop = sizes[clip.id]
            labels = ";".join(classes[label] for label in clip.labels)
            rows.append((clip.id, stop / sample_rate, wav, 0, stop, labels))
        write_csv(os.path.join(folder, f"{split}.csv"), MANIFEST, rows)
    write_classes(folder, classes)


def convert_clips(
    folder: PathLike,
    clips: list[Clip],
    convert: Callable[[Clip], np.ndarray],
    sample_rate: int,
) -> tuple[dict[str, int], dict[str, str]]:
    """Writes the clips that are not there yet, see ``write_prepared``.

    Returns the numbers of samples, and the reasons of failures, by id.
    """
    os.makedirs(os.path.join(folder, AUDIO), exist_ok=True)
    remove_leftovers(os.path.join(folder, AUDIO, "*"), LEFT)
    sizes, failed, missing = {}, {}, []
    for clip in clips:
        path = clip_path(folder, clip)
        if os.path.isfile(path):
            sizes[clip.id] = sf.info(path).frames
        else:
            missing.append(clip)
    for clip, samples, reason in in_order(
        convert, missing, os.cpu_count() or 1, progress=True, unit="clips"
    ):
        if samples is None:
            failed[clip.id] = str(reason)
        else:
            write_clip(clip_path(folder, clip), samples, sample_rate)
            sizes[clip.id] = len(samples)
    return sizes, failed


def clip_path(folder: PathLike, clip: Clip) -> str:
    """The file of a clip; its id, which a table gives, must be a plain name."""
    if os.path.basename(clip.id) != clip.id:
        raise InputError(f"the id {clip.id!r} of a clip is no name of a file")
    return os.path.join(folder, AUDIO, f"{clip.id}.wav")


def write_clip(path: str, samples: np.ndarray, sample_rate: int) -> None:
    """Writes samples in 16 bits, all of them or none."""
    with atomic_path(path) as temporary_path:
        content = as_wav(samples, sample_rate, "PCM_16")
        Path(temporary_path).write_bytes(content)


def read_manifest(
    folder: PathLike, splits: Iterable[str] = SPLIT_NAMES
) -> Iterator[tuple[Clip, int]]:
    """Yields the clips of some splits, and their numbers of samples.

    Their labels are names.
    """
    for split in splits:
        path = Path(folder, f"{split}.csv")
        if not path.is_file():
            continue
        for _, row in read_table(path, MANIFEST):
            clip = Clip(
                id=row["ID"],
                audio=row["wav"].replace("$data_root", str(folder)),
                labels=tuple(x for x in row["labels"].split(";") if x),
                split=split,
            )
            yield clip, int(row["stop"])
