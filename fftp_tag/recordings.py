"""Features of recordings, which are computed once and kept in a file.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Optional, Tuple

import numpy as np

from fftp_tag.clip_classifier import clip_features
from fftp_tag.parallel import in_order
from fftp_tag.windows import cut_windows, read_blocks
from speechbrain_fftp.dataio.audio import read_audio, read_duration
from speechbrain_fftp.dataio.files import atomic_path, file_sha256

if TYPE_CHECKING:
    from fftp_tag.tagger import AudioTagger


@dataclasses.dataclass(frozen=True)
class Recording:
    """A recording, or a part of it, to learn from.

    Arguments
    ---------
    path : str
    start, end : float
        In seconds.
    is_background : bool
        Whether it is the first half that is learnt from, in windows as well.
    """

    path: str
    start: float = 0.0
    end: float = math.inf
    is_background: bool = False

    @property
    def part(self) -> str:
        """What is taken of the file; "" for all of it."""
        if self.is_background:
            return "first half"
        if self.end < math.inf:
            return f"from {self.start:g} to {self.end:g} s"
        return ""

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.path} {self.part}".rstrip()

    @property
    def key(self) -> str:
        """What its features depend on, besides the model."""
        state = os.stat(self.path)
        path = os.path.abspath(self.path)
        return json.dumps([path, self.part, state.st_size, state.st_mtime_ns])


def compute_features(
    tagger: "AudioTagger",
    recordings: List[Recording],
    cache: Path,
    num_workers: int = 4,
    progress: bool = False,
) -> Tuple[List[Optional[np.ndarray]], Dict[str, str]]:
    """Computes the features of recordings, those in a cache excepted.

    Arguments
    ---------
    tagger : AudioTagger
        With the model.
    recordings : list of Recording
    cache : Path
        The file of a former call, which is replaced.
    num_workers : int
        Number of threads.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    features : list
        Of each recording, those of its pieces ``[P, F]``, or None.
    errors : dict
        From the name of a recording that cannot be read to the reason.
    """
    from tqdm import tqdm

    digest = file_sha256(tagger.model.path)
    known = load_features(cache, digest)

    def look_up(recording: Recording) -> Tuple[str, np.ndarray]:
        """The key of a recording, and its features."""
        key = recording.key
        if key in known:
            return key, known[key]
        return key, features_of(tagger, recording)

    features: List[Optional[np.ndarray]] = []
    errors = {}
    computed = {}
    found = in_order(look_up, recordings, num_workers)
    for recording, result, error in tqdm(
        found, total=len(recordings), unit="clip", disable=not progress
    ):
        if result is None:
            errors[recording.name] = str(error)
            features.append(None)
            continue
        key, pieces = result
        computed[key] = pieces
        features.append(pieces)
    if computed:
        save_features(cache, digest, computed)
    return features, errors


def features_of(tagger: "AudioTagger", recording: Recording) -> np.ndarray:
    """The features of the pieces of a recording, ``[P, F]``.

    Pieces have the maximum clip length. Background is also cut into windows
    that do not overlap, since it is in windows that events are found.
    """
    model = tagger.model
    grids = [(model.max_samples, model.max_samples)]
    end = recording.end
    if recording.is_background:
        window, _ = tagger.check_window()
        grids.append((window, window))
        end = read_duration(recording.path) / 2
    rate = model.sample_rate
    if end < math.inf:
        seconds = end - recording.start
        samples = read_audio(recording.path, rate, recording.start, seconds)
        blocks = read_blocks(samples, rate, sample_rate=rate)
    else:
        blocks = read_blocks(recording.path, rate)
    found = [
        clip_features(model.run(["tokens"], windows.wavs)[0])
        for _, windows in cut_windows(blocks, *grids)
    ]
    return np.concatenate(found)


def save_features(
    path: Path, digest: str, features: Dict[str, np.ndarray]
) -> None:
    """Writes features by the keys of recordings, and of which model they are."""
    with atomic_path(path) as temporary_path:
        with open(temporary_path, "wb") as file:
            np.savez(
                file,
                digest=np.array(digest),
                keys=np.array(list(features)),
                counts=np.array(list(map(len, features.values()))),
                features=np.concatenate(list(features.values())),
            )


def load_features(path: Path, digest: str) -> Dict[str, np.ndarray]:
    """Reads what ``save_features`` wrote; nothing of another model."""
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as file:
        if str(file["digest"]) != digest:
            return {}
        starts = np.cumsum(file["counts"])[:-1]
        pieces = np.split(file["features"], starts)
        return dict(zip(file["keys"].tolist(), pieces))
