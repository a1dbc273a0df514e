"""Converts clips to 16-bit mono at one sampling rate, and writes manifests.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import logging
import math
import os
import threading
from collections import Counter

from speechbrain_fftp.dataio import audio
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.dataio.files import write_csv
from speechbrain_fftp.datasets.manifests import (
    CLIP_SECONDS,
    ParquetAudio,
    write_classes,
    write_manifest,
)
from speechbrain_fftp.datasets.names import as_utf8
from speechbrain_fftp.datasets.packs import as_int16, write_packs

logger = logging.getLogger(__name__)

SPLITS = ("train", "valid", "eval")
LONG = 1.5  # a file longer than this many times its clip is a whole recording
TOLERANCE = 0.5  # seconds by which a recording may end too early

parquet_lock = threading.Lock()


def write_prepared(
    folder,
    clips,
    classes,
    *,
    sample_rate,
    splits=SPLITS,
    may_be_empty=(),
    label_column="labels",
    skipped=(),
    allow_missing=1.0,
    num_workers=None,
):
    """Converts clips, and writes the tables of a prepared folder.

    ``skipped`` holds the ids, splits and reasons of clips that are already
    skipped, for skipped.csv.

    Raises
    ------
    InputError
        If too many clips have no audio, or a split has no usable clip.
    """
    check_missing(clips, allow_missing)
    convert = functools.partial(convert_clip, sample_rate=sample_rate)
    packed, failed = write_packs(
        folder, clips, convert, sample_rate, num_workers
    )
    failed_rows = [
        (clip.id, clip.split, failed[clip.id])
        for clip in clips
        if clip.id in failed
    ]
    skipped_path = write_skipped(folder, [*skipped, *failed_rows])
    for split in splits:
        kept = [c for c in clips if c.split == split and c.id in packed]
        if not kept and split not in may_be_empty:
            raise InputError(
                f"No clip of the {split} split can be used. {skipped_path} says"
                " why: repair the data, and prepare again."
            )
        logger.info("%s: %d clips", split, len(kept))
        if split != "valid":
            warn_of_absent_classes(split, kept, classes)
        path = os.path.join(folder, f"{split}.csv")
        write_manifest(path, kept, packed, sample_rate, classes, label_column)
    write_classes(folder, classes)


def write_skipped(folder, skipped):
    """Writes ids, splits and reasons to a table; returns its path.

    Logs a count for each kind of reason, the text before its colon.
    """
    path = os.path.join(folder, "skipped.csv")
    rows = [[as_utf8(entry) for entry in row] for row in skipped]
    write_csv(path, ("ID", "split", "reason"), rows)
    if skipped:
        kinds = Counter(reason.split(":")[0] for *_, reason in skipped)
        counts = ", ".join(f"{n} {kind}" for kind, n in kinds.items())
        logger.warning("Skipped clips: %s; all are in %s", counts, path)
    return path


def warn_of_absent_classes(split, clips, classes):
    """Warns of classes without clips in a split."""
    present = {label for clip in clips for label in clip.labels}
    absent = [name for label, name in classes.items() if label not in present]
    if absent:
        logger.warning(
            "%s: no clip of %d classes, such as %s",
            split,
            len(absent),
            absent[0],
        )


def check_missing(clips, allowed):
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


def convert_clip(clip, sample_rate):
    """Converts a clip to 16-bit samples ``[S]`` at a rate in Hz.

    Raises
    ------
    InputError
        If the audio is missing, unusable, or ends before the clip.
    """
    samples = clip.gain * read_clip(clip, sample_rate)
    return as_int16(samples[: round(clip.seconds * sample_rate)])


def read_clip(clip, sample_rate):
    """Reads a clip; returns its samples ``[S]`` at a rate in Hz."""
    if clip.is_missing:
        raise InputError("missing file")
    source = clip.audio
    if isinstance(source, ParquetAudio):
        source = read_parquet_audio(source)
    start = clip.start
    if clip.may_be_cut:
        duration = audio.read_duration(source)
        if duration <= LONG * max(clip.seconds, CLIP_SECONDS):
            start = 0.0
        elif duration < clip.end - TOLERANCE:
            raise InputError(
                f"ends before its segment: {duration:.1f} of {clip.end:.1f} s"
            )
    samples = audio.read_audio(source, sample_rate, start, clip.seconds)
    if len(samples) < audio.MIN_SECONDS * sample_rate:
        raise InputError(f"shorter than 25 ms: {len(samples)} samples")
    return samples


def read_parquet_audio(place):
    """Reads the content of an audio file in a parquet shard; may be empty."""
    with parquet_lock:  # neighbours are in the same row group
        column = _read_row_group(place.path, place.row_group)
    return (column[place.row].as_py() or {}).get("bytes") or b""


@functools.lru_cache(maxsize=2)
def _read_row_group(path, row_group):
    """The column ``audio`` of a row group."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as shard:
        return shard.read_row_group(row_group, ["audio"])["audio"]
