"""Clips of words, used as they are or converted, and clips of "silence".

The latter are cut from background recordings, of which each split has a part.

Authors
 * The speechbrain_fftp authors 2026
"""

import math
import os
import re

import numpy as np
import soundfile as sf
from tqdm.contrib.concurrent import thread_map

from speechbrain.utils.parallel import get_available_cpu_count
from speechbrain_fftp.dataio import audio
from speechbrain_fftp.dataio.files import atomic_path
from speechbrain_fftp.datasets.convert import convert_clips, read_clip
from speechbrain_fftp.datasets.names import seeded_rng

# A manifest cannot hold '$' (it starts a variable), control characters and
# bytes that are not UTF-8
NOT_IN_MANIFESTS = re.compile(r"[$\x00-\x1f\x7f\ud800-\udfff]")
EXTENSION_OF_FORMAT = {"WAV": ".wav", "WAVEX": ".wav", "FLAC": ".flac"}
# Where each split's part of a recording begins and ends
RECORDING_PARTS = {"train": (0.0, 0.7), "valid": (0.7, 0.85), "test": (0.85, 1)}


def use_or_convert(
    data_folder, ids, flac_folder, sample_rate=16000, max_seconds=1.0, name=None
):
    """Checks clips, and converts those that cannot be used as they are.

    ``ids`` maps paths relative to ``data_folder`` to ids. Clips that are not
    mono wav or flac files of this rate, or are too long, are converted to
    ``flac_folder/ID.flac``. ``name`` labels the progress bar.

    Returns duration and treatments (None for clips that are used as they are)
    of each usable path, and the reason why the others cannot be used.
    """
    usable = {}
    failed = {}
    other = {}

    def check(path):
        source = os.path.join(data_folder, path)
        try:
            return usable_seconds(source, sample_rate, max_seconds)
        except ValueError as error:
            return str(error)
        except OSError as error:
            return f"unreadable: {error.strerror}"

    num_workers = get_available_cpu_count()
    checked = thread_map(check, ids, max_workers=num_workers, desc=name)
    for path, found in zip(ids, checked):
        if isinstance(found, str):
            failed[path] = found
        elif found is None or NOT_IN_MANIFESTS.search(path):
            other[ids[path]] = path
        else:
            usable[path] = found, None
    if not other:
        return usable, failed

    os.makedirs(flac_folder, exist_ok=True)
    converted, not_converted = convert_clips(
        dict.fromkeys(other, (max_seconds, 0.0)),
        lambda todo: ((i, os.path.join(data_folder, other[i])) for i in todo),
        flac_folder,
        sample_rate,
        num_workers,
        f"{name or 'clips'}, to convert",
    )
    for clip_id, found in converted.items():
        usable[other[clip_id]] = found
    for clip_id, reason in not_converted.items():
        failed[other[clip_id]] = reason
    return usable, failed


def usable_seconds(path, sample_rate=16000, max_seconds=1.0):
    """The duration of a clip that can be used as it is, else None.

    One that cannot be converted either is a ValueError.
    """
    extension = os.path.splitext(path)[1].lower()
    if extension not in EXTENSION_OF_FORMAT.values():
        return None
    with audio.open_audio(path) as file:
        is_usable = (
            not file.decoded
            and EXTENSION_OF_FORMAT.get(file.format) == extension
            and file.channels == 1
            and file.samplerate == sample_rate
            and file.frames <= round(max_seconds * sample_rate)
        )
    if not is_usable:
        return None
    samples, rate, _ = read_clip(path, math.inf)
    return len(samples) / rate


def read_recording(path, sample_rate=16000):
    """Reads a recording ``[S]`` that is long enough for all splits."""
    samples, rate, _ = read_clip(path, math.inf)
    samples = audio.resample(samples, rate, sample_rate)
    shortest = min(end - start for start, end in RECORDING_PARTS.values())
    if len(samples) * shortest < audio.MIN_SECONDS * sample_rate:
        raise ValueError("too short for three parts of 25 ms")
    return np.clip(samples, -1, 1)


def recording_part(samples, split):
    """A split's part of a recording."""
    start, end = (round(x * len(samples)) for x in RECORDING_PARTS[split])
    return samples[start:end]


def cut_silence(recordings, split, number, max_samples=16000):
    """Cuts clip ``number`` of a split at a random place and volume, ``[S]``.

    It is shorter than ``max_samples`` if the split's part of the recording is.
    """
    rng = seeded_rng("silence", split, number)
    part = recording_part(recordings[rng.choice(sorted(recordings))], split)
    start = rng.integers(max(len(part) - max_samples, 0) + 1)
    return part[start : start + max_samples] * rng.uniform()


def write_flac(path, samples, sample_rate=16000):
    """Writes a 16-bit FLAC file, and its folder; it appears once complete."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with atomic_path(path) as temporary_path:
        sf.write(temporary_path, samples, sample_rate, "PCM_16", format="FLAC")
