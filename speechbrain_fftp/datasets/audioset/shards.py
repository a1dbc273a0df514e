"""Writes a training set as tar shards in WebDataset's format.

A shard holds ``ID.flac`` and ``ID.json`` of about a thousand clips, so that
millions of clips are a few thousand files that are read sequentially. A shard
is complete once its record, a small JSON file beside it, is written. The index
of all, train.json, is read again to stream them.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import hashlib
import io
import json
import os
import tarfile
import zlib
from collections import Counter
from pathlib import Path

from tqdm.contrib.concurrent import thread_map

from speechbrain.utils.logger import get_logger
from speechbrain.utils.parallel import get_available_cpu_count
from speechbrain_fftp.dataio.files import atomic_path, file_sha256, write_json
from speechbrain_fftp.datasets.audioset.shard_reader import iter_audio
from speechbrain_fftp.datasets.convert import encode_clip
from speechbrain_fftp.datasets.prepared import read_json

logger = get_logger(__name__)

INDEX = "train.json"
MIN_CLIP_BYTES = 2048  # the headers of two files, and a block of each
# Raised for JSON that is damaged or has another structure
INVALID_INDEX = (AttributeError, LookupError, RecursionError, TypeError)
INVALID_INDEX += (ValueError,)
REMEDY = "audioset_prepare.py DATA_FOLDER SAVE_FOLDER ... --verify repairs it"


def write_shards(
    jobs, save_folder, classes, rate, num_workers, always=False, share=(0, 1)
):
    """Writes ``shards/train-NUMBER.tar`` for each job of ``cut_jobs``.

    Shards whose record fits their job are kept; the same jobs always give the
    same bytes. With a share of (i, n), only every nth shard from the ith on is
    written. Returns their records, see ``_write_shard``.
    """
    os.makedirs(os.path.join(save_folder, "shards"), exist_ok=True)

    def write(numbered_job):
        number, job = numbered_job
        path = Path(save_folder, "shards", f"train-{number:06d}.tar")
        return _write_shard(path, *job, classes, rate, always)

    own = list(enumerate(jobs))[share[0] :: share[1]]
    num_workers = num_workers or get_available_cpu_count()
    records = thread_map(write, own, max_workers=num_workers, desc="shards")
    for path in _shard_paths(save_folder)[len(jobs) :]:  # of an earlier attempt
        path.unlink(missing_ok=True)
        path.with_suffix(".json").unlink()
    return records


def make_index(records):
    """Sums up the records that ``write_shards`` returned."""
    labels = Counter()
    for record in records:
        labels.update(record["labels"])
    keys = ("file", "clips", "bytes", "sha256")
    return {
        "clips": sum(record["clips"] for record in records),
        "sample_rate": records[0]["sample_rate"] if records else None,
        "labels": dict(sorted(labels.items())),
        "shards": [{k: r[k] for k in keys} for r in records if r["clips"]],
    }


def read_index(path, check_files=True):
    """Reads train.json, see ``make_index``, and checks its shards' sizes.

    A missing or damaged index or shard is a ValueError with the remedy.
    """
    try:
        with open(path, encoding="utf-8") as file:
            index = json.load(file)
        labels, clips = index["labels"], [s["clips"] for s in index["shards"]]
        shards = [(s["file"], s["clips"], s["bytes"]) for s in index["shards"]]
        if {tuple(map(type, shard)) for shard in shards} - {(str, int, int)}:
            raise ValueError("file, clips and bytes are not text and numbers")
        if any(count * MIN_CLIP_BYTES > size for _, count, size in shards):
            raise ValueError("a shard is too small for its clips")
        if min((*labels.values(), *clips), default=1) < 1:
            raise ValueError("a label or a shard has no clips")
        if index["clips"] != sum(clips):
            raise ValueError(f"its shards have {sum(clips)} clips")
    except OSError as err:
        raise ValueError(f"{path}: {err.strerror} ({REMEDY})")
    except INVALID_INDEX as err:
        raise ValueError(f"{path} is not an index: {err!r} ({REMEDY})")
    for file, _, size in shards if check_files else ():
        file = os.path.join(os.path.dirname(path), file)
        found = os.path.getsize(file) if os.path.isfile(file) else "no"
        if found != size:
            problem = f"{file} has {found} bytes, {size} in {path}"
            raise ValueError(f"{problem} ({REMEDY})")
    return index


def find_damaged(save_folder, num_workers=None):
    """Damaged shards or, without any, the index if it does not match them."""
    paths = _shard_paths(save_folder)
    read = functools.partial(_read_record, check_content=True)
    num_workers = num_workers or get_available_cpu_count()
    records = thread_map(read, paths, max_workers=num_workers, desc="verify")
    damaged = [f"shards/{p.name}" for p, r in zip(paths, records) if r is None]
    index = read_json(os.path.join(save_folder, INDEX))
    if not damaged and index != make_index(records):
        damaged = [INDEX]
    for file in damaged:
        path = os.path.join(save_folder, file)
        logger.warning("%s is missing or damaged", path)
    return damaged


def discard_damaged(save_folder, damaged):
    """Removes what ``find_damaged`` returned, for it to be written again."""
    for path in (Path(save_folder, file) for file in (*damaged, INDEX)):
        path.unlink(missing_ok=True)
        path.with_suffix(".json").unlink(missing_ok=True)


def _shard_paths(save_folder):
    """Lists all shards that have a record, in order."""
    records = Path(save_folder, "shards").glob("train-*.json")
    return [path.with_suffix(".tar") for path in sorted(records)]


def _read_record(path, check_content=False):
    """Reads the record of a shard; None if either is missing or damaged."""
    record = read_json(path.with_suffix(".json"))
    if not (record and path.is_file()):
        return None
    is_whole = path.stat().st_size == record["bytes"]
    if is_whole and check_content:
        is_whole = file_sha256(path) == record["sha256"]
    return record if is_whole else None


def _write_shard(path, segments, audio, classes, rate, always):
    """Writes a shard unless its record fits; returns the record."""
    clips = {}  # seconds to keep, and labels
    for clip in segments:
        labels = [classes[mid] for mid in clip.mids if mid in classes]
        clips[clip.id] = clip.end - clip.start, labels
    starts = {clip.id: clip.start for clip in segments if clip.start}
    job = [rate, clips, *filter(None, [starts, always])]
    digest = hashlib.sha256(json.dumps(job).encode()).hexdigest()
    record = _read_record(path)
    if record is not None and record.get("job") == digest:
        return record
    labels_of_all, treated, skipped, written = Counter(), Counter(), [], 0
    with atomic_path(path) as temporary, tarfile.open(temporary, "w") as tar:
        for clip_id, source in iter_audio(audio, clips):
            seconds, labels = clips[clip_id]
            limits = seconds, starts.get(clip_id, 0.0), always
            try:
                flac, *about = encode_clip(source, rate, *limits)
            except ValueError as err:
                skipped.append({"id": clip_id, "reason": str(err)})
                continue
            sample = {
                "id": clip_id,
                "labels": labels,
                "duration": about[0],
                "treatments": about[1],
                "crc32": zlib.crc32(flac),
            }
            text = json.dumps(sample, ensure_ascii=False)
            for extension, content in (("flac", flac), ("json", text.encode())):
                # Without times and owners: equal clips give equal bytes
                member = tarfile.TarInfo(f"{clip_id}.{extension}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
            tar.members = []  # tarfile would keep them all
            labels_of_all.update(labels)
            treated.update(about[1])
            written += 1
    record = {
        "file": f"shards/{path.name}",
        "job": digest,
        "clips": written,
        "sample_rate": rate,
        "bytes": os.path.getsize(path),
        "sha256": file_sha256(path),
        "labels": labels_of_all,
        "treatments": treated,
        "skipped": skipped,
    }
    write_json(path.with_suffix(".json"), record)
    return record
