"""Converts audio clips to mono FLAC files with one sampling rate.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import io
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile as sf

from speechbrain.utils.logger import get_logger
from speechbrain.utils.parallel import get_available_cpu_count, parallel_map
from speechbrain_fftp.dataio import audio
from speechbrain_fftp.dataio.ffmpeg import readable_source
from speechbrain_fftp.dataio.files import atomic_path

logger = get_logger(__name__)

TREATMENTS = ("cut", "trimmed", "downmixed", "resampled", "clipped")
USUAL_SECONDS = 10.0  # tools may download as much even if a clip is shorter
LONG = 1.5  # a file so many times longer than its clip is a whole recording
TOLERANCE = 0.5  # seconds that the end of a recording may lack


def encode_clip(
    source, sample_rate=16000, max_seconds=10.0, start=0.0, always=False
):
    """Encodes a clip as a mono 16-bit FLAC file in memory.

    Returns the content of the file, its duration in seconds, and the list of
    ``TREATMENTS`` that were applied, which is also the comment of the file.

    The source is one of ``ffmpeg.readable_source``, or None if it is missing. With a
    ``start`` in seconds, it may be a whole recording that the clip is cut out
    of: ``always``, or if it is longer than 1.5 times the clip (and than 15 s).
    A clip that is unusable, or ends before its segment, is a ValueError.
    """
    if source is None:
        raise ValueError("missing file")
    samples, rate, treatments = read_clip(source, max_seconds, start, always)
    if rate != sample_rate:
        treatments.append("resampled")
        samples = audio.resample(samples, rate, sample_rate)
    samples = samples[: round(max_seconds * sample_rate)]
    if np.abs(samples).max() > 1:
        treatments.append("clipped")
    samples = np.rint(samples.clip(-1, 1) * 32768).clip(max=32767)
    content, form = io.BytesIO(), {"subtype": "PCM_16", "format": "FLAC"}
    with sf.SoundFile(content, "w", sample_rate, 1, **form) as file:
        file.comment = f"treatments: {' '.join(treatments)}"
        file.write(samples.astype(np.int16))
    return content.getvalue(), len(samples) / sample_rate, treatments


def convert_clips(
    clips, iter_audio, folder, rate, num_workers=None, name=None, always=False
):
    """Converts clips to ``folder/ID.flac`` in parallel and keeps existing ones.

    ``clips`` maps ids to the maximum duration and the start for
    ``encode_clip``. ``iter_audio`` takes the ids that are not yet converted,
    and yields ids and sources in any order.

    Returns two dicts: duration and treatments of each id that is converted, and
    the reasons why the others could not be.
    """
    num_workers = num_workers or get_available_cpu_count()
    paths = {i: os.path.join(folder, f"{i}.flac") for i in clips}
    converted = {i: _read_converted(paths[i], rate) for i in clips}
    pending = [i for i in clips if converted[i] is None]
    needed = 2 * rate * sum(clips[i][0] for i in pending) / 2**20
    free = shutil.disk_usage(folder).free / 2**20
    if needed > free:
        text = "The clips may need up to %.0f MiB, but %.0f MiB are free in %s"
        logger.warning(text, needed, free, folder)

    def convert(item):
        clip_id, source = item
        how = rate, *clips[clip_id], always
        try:
            content, *about = encode_clip(source, *how)
        except ValueError as err:
            return clip_id, str(err)
        with atomic_path(paths[clip_id]) as temporary_path:
            Path(temporary_path).write_bytes(content)
        return clip_id, tuple(about)

    with ThreadPoolExecutor(num_workers) as pool:
        # Short queues, as their items may be whole files in memory
        results = parallel_map(
            convert,
            iter_audio(pending),
            chunk_size=4,
            queue_size=2 * num_workers,
            executor=pool,
            progress_bar_kwargs={"desc": name, "total": len(pending)},
        )
        converted.update(results)
    failed = {i: why for i, why in converted.items() if isinstance(why, str)}
    return {i: converted[i] for i in clips if i not in failed}, failed


def _read_converted(path, sample_rate):
    """Duration and treatments of a converted clip; None if it is not one."""
    with contextlib.suppress(sf.LibsndfileError, ValueError):
        with sf.SoundFile(path) as file:
            label, *treatments = file.comment.split()
            if label == "treatments:" and file.samplerate == sample_rate:
                return file.frames / sample_rate, treatments


def read_clip(source, max_seconds, start=0.0, always=False):
    """Reads a clip up to its maximum duration and checks it."""
    with contextlib.ExitStack() as stack:
        if start:  # read the file twice, but decode it once
            enough = start + LONG * max(max_seconds, USUAL_SECONDS)
            source = stack.enter_context(readable_source(source, enough))
            start = _find_start(source, start, max_seconds, always)
        found = audio.read_audio(source, max_seconds, start)
    samples, rate, channels, frames = found
    if not len(samples):
        raise ValueError("empty file")
    if len(samples) < audio.MIN_SECONDS * rate:
        raise ValueError(f"shorter than 25 ms: {len(samples)} samples")
    is_longer = not start and frames > len(samples)
    done = {"cut": start, "trimmed": is_longer, "downmixed": channels > 1}
    return samples, rate, [name for name in done if done[name]]


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
