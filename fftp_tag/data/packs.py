"""Packs: wav files with about a thousand clips each.

A table beside each pack has the first and last sample of each clip, or the
reason why it is skipped. It is written last: a pack with a table is complete.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import wave
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, Dict, Iterable, List, NamedTuple, Tuple

import numpy as np
import soundfile as sf
from tqdm import tqdm

from fftp_tag.data.clips import Clip
from fftp_tag.data.tables import read_table
from fftp_tag.errors import InputError
from fftp_tag.files import PathLike, atomic_path, write_csv

PACKS = "wav"
PACK_SECONDS = 10_000  # 320 MB at 16 kHz; a thousand clips of AudioSet


class PackedClip(NamedTuple):
    """The samples of a clip, as in manifests."""

    wav: str
    start: int
    stop: int


def write_packs(
    folder: PathLike,
    clips: List[Clip],
    convert: Callable[[Clip], np.ndarray],
    sample_rate: int,
) -> Tuple[Dict[str, PackedClip], Dict[str, str]]:
    """Converts clips into packs, and keeps packs that are complete.

    Arguments
    ---------
    folder, clips, convert, sample_rate
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
    with ThreadPoolExecutor() as pool, tqdm(
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
