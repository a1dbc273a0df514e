"""Converts audio clips to mono FLAC with one sampling rate: files or shards.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import io
import json
import os
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile as sf
from tqdm.contrib.concurrent import thread_map

from speechbrain_fftp.dataio import audio
from speechbrain_fftp.dataio.ffmpeg import readable_source
from speechbrain_fftp.dataio.files import atomic_path, write_json
from speechbrain_fftp.datasets.names import hash_fraction

USUAL_SECONDS = 10.0  # tools may download as much even if a clip is shorter
LONG = 1.5  # a file so many times longer than its clip is a whole recording
TOLERANCE = 0.5  # seconds that the end of a recording may lack


class AudioFiles:
    """The audio of clips, in one file each; ``paths`` maps ids to files."""

    def __init__(self, paths):
        self.paths = paths

    def available(self, ids):
        """The ids that have audio, as a set."""
        return {clip_id for clip_id in ids if clip_id in self.paths}

    def iter_audio(self, ids):
        """Yields the ids with their audio, or None if it is missing."""
        for clip_id in ids:
            path = self.paths.get(clip_id)
            yield clip_id, path if path and os.path.isfile(path) else None

    def group(self, clips):
        """Groups clips that are read in one pass, each with their audio."""
        shuffled = sorted(
            clips, key=lambda clip: hash_fraction(f"place of {clip.id}")
        )
        return [(shuffled, self)]


def encode_clip(
    source, sample_rate=16000, max_seconds=10.0, start=0.0, always=False
):
    """Encodes a clip as a mono 16-bit FLAC file in memory.

    With a ``start`` in seconds, the source may be a whole recording that the
    clip is cut out of: ``always``, or if it is longer than 1.5 times the clip
    (and than 15 s). Returns the content of the file, and its duration in
    seconds.

    Raises
    ------
    ValueError
        If the source is None, cannot be used, or ends before the clip.
    """
    if source is None:
        raise ValueError("missing file")
    samples, rate = read_clip(source, max_seconds, start, always)
    samples = audio.resample(samples, rate, sample_rate)
    samples = samples[: round(max_seconds * sample_rate)]
    samples = np.rint(samples.clip(-1, 1) * 32768).clip(max=32767)
    content = io.BytesIO()
    with sf.SoundFile(
        content, "w", sample_rate, channels=1, subtype="PCM_16", format="FLAC"
    ) as file:
        file.write(samples.astype(np.int16))
    return content.getvalue(), len(samples) / sample_rate


def convert_clips(
    clips, iter_audio, folder, rate, num_workers=None, name=None, always=False
):
    """Converts clips to ``folder/ID.flac`` in parallel and keeps existing ones.

    ``clips`` maps ids to the maximum duration and the start for
    ``encode_clip``. ``iter_audio`` takes the ids that are not yet converted,
    and yields ids and sources in any order. ``name`` labels the progress bar.

    Returns
    -------
    converted : dict
        Duration of each id that is converted.
    failed : dict
        The reasons why the others could not be.
    """
    # Here, since it imports torch, which scoring clips does without
    from speechbrain.utils.parallel import get_available_cpu_count, parallel_map

    num_workers = num_workers or get_available_cpu_count()
    paths = {i: os.path.join(folder, f"{i}.flac") for i in clips}
    results = {i: _read_converted(paths[i], rate) for i in clips}
    pending = [i for i in clips if results[i] is None]

    def convert(item):
        clip_id, source = item
        max_seconds, start = clips[clip_id]
        try:
            content, duration = encode_clip(
                source, rate, max_seconds, start, always
            )
        except ValueError as error:
            return clip_id, str(error)
        with atomic_path(paths[clip_id]) as temporary_path:
            Path(temporary_path).write_bytes(content)
        return clip_id, duration

    with ThreadPoolExecutor(num_workers) as pool:
        # Short queues, as their items may be whole files in memory
        results.update(
            parallel_map(
                convert,
                iter_audio(pending),
                chunk_size=4,
                queue_size=2 * num_workers,
                executor=pool,
                progress_bar_kwargs={"desc": name, "total": len(pending)},
            )
        )
    failed = {i: why for i, why in results.items() if isinstance(why, str)}
    return {i: results[i] for i in clips if i not in failed}, failed


def _read_converted(path, sample_rate):
    """Duration of a converted clip; None if there is none of this rate."""
    with contextlib.suppress(sf.LibsndfileError):
        info = sf.info(path)
        if info.samplerate == sample_rate:
            return info.duration


def write_shards(
    clips,
    clip_audio,
    folder,
    *,
    classes,
    sample_rate,
    clips_per_shard,
    cut_always=False,
    num_workers=None,
):
    """Writes Clips into tar shards in WebDataset's format.

    A clip is ``NUMBER.flac`` and ``NUMBER.json``, with its id, duration and
    labels. Shards that an interrupted call has written are kept: each is
    complete once ``shard-NUMBER.json`` is beside it. No shard is empty.
    Returns the same as ``convert_clips``.
    """
    from speechbrain.utils.parallel import get_available_cpu_count

    os.makedirs(folder, exist_ok=True)
    jobs = [
        (group[i : i + clips_per_shard], source)
        for group, source in clip_audio.group(clips)
        for i in range(0, len(group), clips_per_shard)
    ]

    def write(numbered_job):
        number, (group, source) = numbered_job
        return _write_shard(
            Path(folder, f"shard-{number:06d}.tar"),
            {clip.id: clip for clip in group},
            source,
            classes=classes,
            sample_rate=sample_rate,
            cut_always=cut_always,
        )

    records = thread_map(
        write,
        list(enumerate(jobs)),
        max_workers=num_workers or get_available_cpu_count(),
        desc="shards",
    )
    for path in Path(folder).glob("shard-*.*"):
        number = int(path.stem.removeprefix("shard-"))
        if number >= len(jobs):  # of an earlier attempt with smaller shards
            path.unlink()
    converted = {}
    failed = {}
    for record in records:
        converted.update(record["durations"])
        failed.update(record["failed"])
    return converted, failed


def _write_shard(path, clips, source, *, classes, sample_rate, cut_always):
    """Writes one shard unless it is there; returns what became of its clips."""
    record_path = path.with_suffix(".json")
    if record_path.is_file():
        record = json.loads(record_path.read_text("utf-8"))
        known = record.get("durations", {})
        is_same = clips.keys() == known.keys() | record["failed"]
        if is_same and (path.is_file() or not known):
            return record
    durations = {}
    failed = {}
    with atomic_path(path) as temporary, tarfile.open(temporary, "w") as tar:
        for clip_id, content in source.iter_audio(clips):
            clip = clips[clip_id]
            try:
                flac, duration = encode_clip(
                    content,
                    sample_rate,
                    max_seconds=clip.end - clip.start,
                    start=clip.start,
                    always=cut_always,
                )
            except ValueError as error:
                failed[clip_id] = str(error)
                continue
            labels = [classes[mid] for mid in clip.mids if mid in classes]
            row = {"id": clip_id, "duration": duration, "labels": labels}
            name = f"{len(durations):06d}"
            _add_member(tar, f"{name}.flac", flac)
            _add_member(tar, f"{name}.json", json.dumps(row).encode())
            durations[clip_id] = duration
    if not durations:
        path.unlink()
    record = {"durations": durations, "failed": failed}
    write_json(record_path, record)
    return record


def _add_member(tar, name, content):
    """Adds a file to a tar, without times and owners."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
    tar.members = []  # tarfile would keep them all


def read_clip(source, max_seconds, start=0.0, always=False):
    """Reads a clip up to its maximum duration and checks it.

    Returns the samples ``[S]`` and their rate.
    """
    with contextlib.ExitStack() as stack:
        if start:  # read the file twice, but decode it once
            enough = start + LONG * max(max_seconds, USUAL_SECONDS)
            source = stack.enter_context(readable_source(source, enough))
            start = _find_start(source, start, max_seconds, always)
        samples, rate = audio.read_audio(source, max_seconds, start)
    if not len(samples):
        raise ValueError("empty file")
    if len(samples) < audio.MIN_SECONDS * rate:
        raise ValueError(f"shorter than 25 ms: {len(samples)} samples")
    return samples, rate


def _find_start(source, start, seconds, always):
    """Where a clip starts in its file, which may be the clip itself."""
    with audio.open_audio(source) as file:
        duration = file.frames / file.samplerate
    if not always and duration <= LONG * max(seconds, USUAL_SECONDS):
        return 0.0
    if duration < start + seconds - TOLERANCE:
        raise ValueError(
            f"ends before its segment: {duration:.1f} of "
            f"{start + seconds:.1f} s"
        )
    return start
