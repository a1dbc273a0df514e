"""Computes features of recordings, and caches them in a file.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import json
import logging
import math
import os
import zipfile
import zlib
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np

from fftp_tag.errors import one_line
from fftp_tag.learning.features import OUTPUT
from fftp_tag.parallel import in_order
from fftp_tag.progress import show_progress
from fftp_tag.tag.model import Model
from fftp_tag.tag.windows import cut_windows, read_blocks
from speechbrain_fftp.dataio.audio import read_audio, read_duration
from speechbrain_fftp.dataio.files import atomic_path

logger = logging.getLogger(__name__)

COPIES = 4
COPY_LEVELS = (-30, 6)  # in dB, relative to the clip
# What numpy raises for a damaged file
DAMAGED = (
    zipfile.BadZipFile,
    EOFError,
    KeyError,
    OSError,
    RuntimeError,
    ValueError,
)


@dataclasses.dataclass(frozen=True)
class Recording:
    """A recording, or a part of it, to learn from.

    Arguments
    ---------
    path : str
    start, end : float
        In seconds.
    window : int, optional
        For background: length in samples of the windows to learn from.
    is_half : bool
        Whether it is the first half of the file.
    has_copies : bool
        Whether augmented copies are learnt from as well.
    """

    path: str
    start: float = 0.0
    end: float = math.inf
    window: Optional[int] = None
    is_half: bool = False
    has_copies: bool = False

    @property
    def name(self) -> str:
        """The name in messages."""
        return part_name(self.path, self.start, self.end)

    @property
    def key(self) -> str:
        """A key for the cache: all that affects the features but the model."""
        stat = os.stat(self.path)
        absolute = dataclasses.replace(self, path=os.path.abspath(self.path))
        own = dataclasses.astuple(absolute)
        return json.dumps([*own, stat.st_size, stat.st_mtime_ns])


def part_name(path: str, start: float, end: float) -> str:
    """A recording or a part of it in messages.

    Example
    -------
    >>> part_name("mix.wav", 3.0, 4.5), part_name("all.wav", 0.0, math.inf)
    ('mix.wav, 3.0-4.5 s', 'all.wav')
    """
    return f"{path}, {start:.1f}-{end:.1f} s" if end < math.inf else path


class Features(NamedTuple):
    """The features of a recording.

    Arguments
    ---------
    pieces : numpy.ndarray
        Features of pieces of the maximum clip length, or of windows ``[P, F]``.
    copies : numpy.ndarray
        Features of augmented copies, ``[K, F]``.
    n_samples : int
        Length of the recording.
    """

    pieces: np.ndarray
    copies: np.ndarray
    n_samples: int


class FeatureCache:
    """A file of features, with a checksum of the model that computed them.

    Arguments
    ---------
    path : Path
        The file; it is read if it exists and has the same checksum.
    digest : str
        The checksum of the model.
    """

    def __init__(self, path: Path, digest: str):
        self.path = path
        self.digest = digest
        self.known: Dict[str, Features] = {}
        self.used: Dict[str, Features] = {}
        if not path.is_file():
            return
        try:
            self.known = self.read()
        except DAMAGED as error:
            logger.warning(
                "%s is damaged (%s): all features are computed again",
                path,
                one_line(error),
            )

    def read(self) -> Dict[str, Features]:
        """The features in the file by key, if they are of this model."""
        with np.load(self.path, allow_pickle=False) as file:
            if str(file["digest"]) != self.digest:
                return {}
            ends = np.cumsum(file["counts"].ravel())[:-1]
            parts = np.split(file["features"], ends)
            keys, sizes = file["keys"].tolist(), file["n_samples"].tolist()
        found = map(Features, parts[::2], parts[1::2], sizes)
        return dict(zip(keys, found))

    def save(self) -> None:
        """Writes the features that were used, if any."""
        if not self.used:
            return
        used = self.used.values()
        with atomic_path(self.path) as temporary_path:
            with open(temporary_path, "wb") as file:
                np.savez(
                    file,
                    digest=np.array(self.digest),
                    keys=np.array(list(self.used)),
                    counts=np.array([[len(x[0]), len(x[1])] for x in used]),
                    n_samples=np.array([x.n_samples for x in used]),
                    features=np.concatenate([y for x in used for y in x[:2]]),
                )


def compute_features(
    model: Model,
    recordings: List[Recording],
    cache: FeatureCache,
    num_workers: int = 4,
    progress: bool = False,
) -> Tuple[Dict[Recording, Features], Dict[str, str]]:
    """Computes the features of recordings that are not in the cache.

    Arguments
    ---------
    model : Model
        A model with the output ``clip_features``.
    recordings : list of Recording
    cache : FeatureCache
    num_workers : int
        Number of threads.
    progress : bool
        Whether to show progress.

    Returns
    -------
    features : dict of Features
        By recording.
    errors : dict
        Reasons by name of the recordings that cannot be read.
    """

    def look_up(recording: Recording) -> Tuple[str, Features]:
        """The key of a recording, and its features."""
        key = recording.key
        return key, cache.known.get(key) or features_of(model, recording)

    features, errors = {}, {}
    found = in_order(look_up, recordings, num_workers)
    for recording, result, error in show_progress(
        found, len(recordings), "clips", progress
    ):
        if result is None:
            errors[recording.name] = str(error)
            continue
        key, features[recording] = result
        cache.used[key] = features[recording]
    return features, errors


def features_of(model: Model, recording: Recording) -> Features:
    """Computes the features of a recording."""
    rate = model.sample_rate
    end = recording.end
    if recording.is_half:
        end = read_duration(recording.path) / 2
    if end < math.inf:
        seconds = end - recording.start
        samples = read_audio(recording.path, rate, recording.start, seconds)
        blocks = read_blocks(samples, rate, sample_rate=rate)
    else:
        blocks = read_blocks(recording.path, rate)
    size = recording.window or model.max_samples
    pieces = []
    beginning = np.zeros(0, np.float32)
    n_samples = 0
    for _, windows in cut_windows(blocks, (size, size)):
        if n_samples == 0:
            beginning = windows.wavs[0]
        pieces.append(model.run([OUTPUT], windows.wavs)[0])
        n_samples = int(windows.ends[-1])
    copies = [np.zeros((0, pieces[0].shape[1]), np.float32)]
    if recording.has_copies:
        # A clip has the same copies wherever it is stored
        rng = np.random.default_rng(zlib.crc32(beginning.tobytes()))
        for wav in augmented_copies(beginning, rate, rng):
            wav = wav[: model.max_samples]
            copies.append(model.run([OUTPUT], wav[None])[0])
    return Features(np.concatenate(pieces), np.concatenate(copies), n_samples)


def augmented_copies(
    wav: np.ndarray, rate: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yields augmented copies of a clip ``[S]``.

    Two are resampled to another speed. Two have a smaller change of speed, and
    are shifted and noisy. Noise in all copies would cost accuracy on clean
    clips. All have another level, since recordings may be much quieter.
    """
    import soxr

    for number in range(COPIES):
        is_noisy = number >= COPIES // 2
        low, high = (0.92, 1.08) if is_noisy else (0.85, 1.18)
        speed = np.exp(rng.uniform(np.log(low), np.log(high)))
        copy = soxr.resample(wav, rate * speed, rate)
        if is_noisy:
            shift = round(rng.uniform(-0.1, 0.1) * rate)
            size = len(copy)
            copy = np.pad(copy, abs(shift))[abs(shift) - shift :][:size]
            level = np.sqrt(np.square(copy).mean())
            noise = rng.standard_normal(size).astype(np.float32)
            copy = copy + level * from_decibels(rng.uniform(-40, -20)) * noise
        copy = copy * from_decibels(rng.uniform(*COPY_LEVELS))
        yield copy.astype(np.float32)


def from_decibels(level: float) -> float:
    """Converts a level in dB to a factor of amplitudes."""
    return 10 ** (level / 20)
