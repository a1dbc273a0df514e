"""Packs: WAV files, each with about a thousand clips of one split.

Clips follow each other in a pack, in the order of the manifest. A table beside
the pack has the first and last sample of each clip, or the reason why the clip
is skipped. The table is written last, so a pack with a table is complete.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile as sf
from tqdm import tqdm

from speechbrain_fftp.dataio.audio import is_truncated
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.dataio.files import atomic_path, write_csv
from speechbrain_fftp.datasets.manifests import open_csv
from speechbrain_fftp.datasets.names import as_utf8

PACKS = "wav"  # their folder in a prepared folder
PACK_SECONDS = 10_000  # 320 MB at 16 kHz; a thousand clips of AudioSet


class PackedClip(NamedTuple):
    """The samples of a clip, as in manifests."""

    wav: str
    start: int
    stop: int


def write_packs(prepared_folder, clips, convert, sample_rate, num_workers=None):
    """Converts clips into packs, and keeps packs that are complete.

    Arguments
    ---------
    prepared_folder : str
        The packs are written to its folder ``wav``.
    clips : list of Clip
        Clips with a split.
    convert : callable
        Returns the 16-bit samples ``[S]`` of a clip, or raises an OSError or a
        ValueError. It is called in threads.
    sample_rate : int
        Sampling rate of the samples, in Hz.
    num_workers : int, optional
        Number of threads, by default a few more than CPUs.

    Returns
    -------
    packed : dict
        A PackedClip for each converted clip, by id.
    failed : dict
        The reason of each failure, by id.
    """
    os.makedirs(os.path.join(prepared_folder, PACKS), exist_ok=True)

    def try_to_convert(clip):
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
            path = os.path.join(prepared_folder, PACKS, f"{name}.wav")
            table = os.path.join(prepared_folder, PACKS, f"{name}.csv")
            if os.path.isfile(table):
                bar.update(len(of_pack))
            else:
                converted = pool.map(try_to_convert, of_pack)
                rows = write_pack(path, of_pack, converted, sample_rate, bar)
                write_csv(table, ("ID", "start", "stop", "skipped"), rows)
            with open_csv(table) as file:
                for clip_id, start, stop, reason in list(csv.reader(file))[1:]:
                    if start == stop:
                        failed[clip_id] = reason
                    else:
                        wav = f"$data_root/{PACKS}/{name}.wav"
                        packed[clip_id] = PackedClip(wav, int(start), int(stop))
    return packed, failed


def cut_packs(clips):
    """Assigns clips to packs; returns lists of clips by the names of packs.

    A pack ends with the clip that reaches ``PACK_SECONDS``. Durations are the
    maximum ones, so the packs are the same before and after conversion.
    """
    packs = {}
    seconds = Counter()  # of each split
    for clip in clips:
        number = int(seconds[clip.split] / PACK_SECONDS)
        packs.setdefault(f"{clip.split}-{number:04d}", []).append(clip)
        seconds[clip.split] += clip.seconds
    return packs


def write_pack(path, clips, converted, sample_rate, bar):
    """Writes a pack; returns id, start, stop and reason for each clip.

    ``converted`` yields the samples and the reason of each clip.
    """
    rows = []
    start = 0
    with atomic_path(path) as temporary_path, sf.SoundFile(
        temporary_path, "w", sample_rate, 1, "PCM_16", format="WAV"
    ) as file:
        for clip, (samples, reason) in zip(clips, converted):
            file.write(samples)
            stop = start + len(samples)
            rows.append((clip.id, start, stop, as_utf8(reason)))
            start = stop
            bar.update()
    return rows


def read_packed(clip):
    """Reads the samples ``[S]`` of a PackedClip, and their rate in Hz.

    They are 16-bit integers.

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


def check_packs(prepared_folder):
    """Raises an InputError if a pack is missing or was cut off."""
    for table in sorted(Path(prepared_folder, PACKS).glob("*.csv")):
        path = table.with_suffix(".wav")
        try:
            with sf.SoundFile(path) as file:
                is_damaged = is_truncated(file.extra_info)
        except sf.LibsndfileError:
            is_damaged = True
        if is_damaged:
            raise InputError(
                f"{path} is missing or damaged: delete {prepared_folder}, and"
                " its clips will be prepared again"
            )


def as_int16(samples):
    """Rounds samples to 16-bit integers; clips peaks beyond full scale."""
    scaled = np.rint(samples.clip(-1, 1) * 32768)
    return scaled.clip(max=32767).astype(np.int16)
