"""Writing of a training set as tar shards, in WebDataset's format.

A shard holds ``ID.flac`` and ``ID.json`` of about a thousand clips, so that a
set of millions of clips is a few thousand files that are read from beginning to
end. It is complete once its record, a small file beside it, is written.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import glob
import hashlib
import io
import json
import os
import tarfile
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from speechbrain.utils.logger import get_logger
from speechbrain.utils.parallel import get_available_cpu_count, parallel_map
from speechbrain_fftp.dataio.convert import encode_clip
from speechbrain_fftp.dataio.files import atomic_path, file_sha256, write_json
from speechbrain_fftp.datasets.audioset.shard_index import INDEX, make_index
from speechbrain_fftp.datasets.own_sounds.splits import digest_of

logger = get_logger(__name__)


def hash_fraction(text):
    """A number in [0, 1) that depends on a text only, as if drawn at random.

    Arguments
    ---------
    text : str
        Any text.

    Returns
    -------
    float
        Where its SHA-1 lies among all.

    Example
    -------
    >>> hash_fraction("-0xzrMun0Rs")
    0.08879128703847528
    """
    return int(digest_of(text)[:8], 16) / 16**8


def write_shards(
    jobs, save_folder, classes, sample_rate=16000, num_workers=None, redo=()
):
    """Writes the shards that are not there yet, several at a time.

    Each is ``shards/train-NUMBER.tar`` and its record ``train-NUMBER.json``.
    The same jobs give the same bytes.

    Arguments
    ---------
    jobs : list of ShardJob
        What goes into each shard, see ``datasets.audioset.layouts.cut_jobs``.
    save_folder : str
        Folder to write to.
    classes : dict
        From mid to display name.
    sample_rate : int
        Sampling rate of the clips, in Hz.
    num_workers : int, optional
        How many shards to write at a time, by default one per CPU.
    redo : sequence of str
        Names of shards to write even if they have a record.

    Returns
    -------
    records : list of dict
        For each shard: its file, how many clips and bytes it has, its sha256,
        the clips with each label and treatment, and those skipped, with why.

    Example
    -------
    >>> from speechbrain_fftp.datasets.audioset.lists import Segment
    >>> from speechbrain_fftp.datasets.audioset.layouts import cut_jobs
    >>> folder = str(getfixture("tmpdir"))
    >>> clips = [Segment("a", 0, 10, ("/m/1",)), Segment("b", 0, 10, ("/m/1",))]
    >>> jobs = cut_jobs(clips, folder, None, clips_per_shard=1)
    >>> records = write_shards(jobs, folder, {"/m/1": "Speech"})
    >>> [(record["file"], record["clips"]) for record in records]
    [('shards/train-000000.tar', 0), ('shards/train-000001.tar', 0)]
    """
    num_workers = num_workers or get_available_cpu_count()
    os.makedirs(os.path.join(save_folder, "shards"), exist_ok=True)

    def write(numbered_job):
        """Gives the record of a shard, which it writes if need be."""
        number, job = numbered_job
        file = f"shards/train-{number:06d}.tar"
        path = os.path.join(save_folder, file)
        clips = {clip.id: _describe(clip, classes) for clip in job.clips}
        content = json.dumps([sample_rate, clips])
        digest = hashlib.sha256(content.encode()).hexdigest()
        record = _read_record(path)
        if file in redo or record is None or record["job"] != digest:
            record = {"file": file, "job": digest}
            record.update(_write_shard(path, job, clips, sample_rate))
            write_json(_record_path(path), record)
        return record

    with ThreadPoolExecutor(num_workers) as pool:
        records = parallel_map(
            write,
            enumerate(jobs),
            chunk_size=1,
            queue_size=2 * num_workers,
            executor=pool,
            progress_bar_kwargs={"desc": "shards", "total": len(jobs)},
        )
        records = list(records)
    for path in _shard_paths(save_folder)[len(jobs) :]:  # of an earlier list
        os.remove(_record_path(path))
        os.remove(path)
    return records


def find_damaged(save_folder, num_workers=None):
    """Looks for shards whose content is not what was written.

    Arguments
    ---------
    save_folder : str
        Folder that ``write_shards`` wrote to.
    num_workers : int, optional
        How many shards to read at a time, by default one per CPU.

    Returns
    -------
    list of str
        Files to write anew: shards, or else the index if it is missing or does
        not fit the shards.

    Example
    -------
    >>> find_damaged(getfixture("tmpdir"))
    ['train.json']
    """
    paths = _shard_paths(save_folder)
    with ThreadPoolExecutor(num_workers or get_available_cpu_count()) as pool:
        records = list(
            parallel_map(
                functools.partial(_read_record, check_content=True),
                paths,
                chunk_size=1,
                executor=pool,
                progress_bar_kwargs={"desc": "verify"},
            )
        )
    damaged = [
        os.path.relpath(path, save_folder)
        for path, record in zip(paths, records)
        if record is None
    ]
    index = os.path.join(save_folder, INDEX)
    if not damaged and _read_json(index) != make_index(records):
        damaged = [INDEX]
    for file in damaged:
        logger.warning(
            "%s is missing or damaged", os.path.join(save_folder, file)
        )
    return damaged


def _describe(clip, classes):
    """Seconds to keep of a clip, and its labels."""
    labels = [classes[mid] for mid in clip.mids if mid in classes]
    return clip.end - clip.start, labels


def _shard_paths(save_folder):
    """All shards that have a record, in order."""
    pattern = os.path.join(
        glob.escape(str(save_folder)), "shards", "train-*.json"
    )
    return [f"{path[:-5]}.tar" for path in sorted(glob.glob(pattern))]


def _record_path(path):
    """Where the record of a shard lies."""
    return f"{path[:-4]}.json"


def _read_json(path):
    """Content of a JSON file; None if it has none."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (FileNotFoundError, ValueError):
        return None


def _read_record(path, check_content=False):
    """The record of a shard; None if either is missing or damaged."""
    record = _read_json(_record_path(path))
    if record is None or not os.path.isfile(path):
        return None
    if os.path.getsize(path) != record["bytes"]:
        return None
    if check_content and file_sha256(path) != record["sha256"]:
        return None
    return record


def _write_shard(path, job, clips, sample_rate):
    """Writes a shard clip by clip; gives what its record says about it."""
    labels_of_all, treated, skipped, written = Counter(), Counter(), [], 0
    with atomic_path(path) as temporary_path:
        with tarfile.open(
            temporary_path, "w", format=tarfile.PAX_FORMAT
        ) as tar:
            for clip_id, audio in job.iter_audio(list(clips)):
                seconds, labels = clips[clip_id]
                try:
                    flac, *about = encode_clip(audio, sample_rate, seconds)
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
                _add_member(tar, f"{clip_id}.flac", flac)
                content = json.dumps(sample, ensure_ascii=False).encode()
                _add_member(tar, f"{clip_id}.json", content)
                tar.members = []  # or it would keep them all
                labels_of_all.update(labels)
                treated.update(about[1])
                written += 1
    return {
        "clips": written,
        "sample_rate": sample_rate,
        "bytes": os.path.getsize(path),
        "sha256": file_sha256(path),
        "labels": labels_of_all,
        "treatments": treated,
        "skipped": skipped,
    }


def _add_member(tar, name, content):
    """Adds a file to a tar that depends on name and content only."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
