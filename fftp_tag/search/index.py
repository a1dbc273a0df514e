"""SoundIndex: finds the places of an archive that sound like an example.

An index is an npz file: its settings, the list of files, and the embeddings of
all windows, scaled to unit length, in float16.

Authors
 * The speechbrain_fftp authors 2026
"""

import collections
import dataclasses
import json
import logging
import math
import os
import zipfile
from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from fftp_tag.errors import counted, one_line
from fftp_tag.parallel import in_order
from fftp_tag.progress import show_progress
from fftp_tag.tag.tagger import AudioTagger
from fftp_tag.tag.windows import Source, cut_windows, read_blocks
from speechbrain_fftp.dataio.audio import (
    AUDIO_EXTENSIONS,
    MIN_SECONDS,
    find_audio_files,
)
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.dataio.files import (
    Path,
    atomic_path,
    check_target,
    file_sha256,
)

logger = logging.getLogger(__name__)

WINDOW = 5.0  # seconds, by default
CHUNK = 512  # rows that are compared at a time
SAMPLE = 4096  # rows to estimate the mean and the standard deviation
# Similarity of a place to an example that was cut from it: other places are
# below, even of stationary noise
SAME = 0.999995
TINY = 1e-6  # instead of a length or a standard deviation of 0
# Exceptions when a file is read that is damaged or no index
DAMAGE = (EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile)


@dataclasses.dataclass(frozen=True)
class Settings:
    """How an index was made; lengths are in samples of the model's rate."""

    archive: str  # the folder whose files are indexed
    model: str  # where it was loaded from
    digest: str  # checksum of the model
    sample_rate: int
    window: int  # length of a window
    hop: int  # from one window to the next


class IndexedFile(NamedTuple):
    """A file of the archive."""

    path: str  # relative to the archive
    size: int  # in bytes
    mtime_ns: int
    n_samples: int
    rows: np.ndarray  # embeddings of its windows, [N, D]


@dataclasses.dataclass(frozen=True)
class Place:
    """A part of a file, in seconds, and how similar it is to an example.

    Example
    -------
    >>> Place("a.wav", start=5.0, end=10.0, similarity=0.75).to_dict()
    {'file': 'a.wav', 'start': 5.0, 'end': 10.0, 'similarity': 0.75}
    """

    file: str
    start: float
    end: float
    similarity: float

    def to_dict(self) -> dict:
        """The fields by name."""
        return dataclasses.asdict(self)


class Update(NamedTuple):
    """Result of ``update_index``, mostly numbers of files."""

    added: int  # new or changed files that were read
    unchanged: int  # files that were in the index already
    dropped: int  # files in the index that have changed or vanished
    errors: List[str]  # reasons why files and folders cannot be read
    n_windows: int  # in the index


class SoundIndex:
    """Embeddings of the windows of all files of a folder.

    Arguments
    ---------
    settings : Settings
    files : list of IndexedFile
    """

    def __init__(self, settings: Settings, files: List[IndexedFile]):
        self.settings = settings
        self.files = files

    @classmethod
    def load(cls, path: Path) -> "SoundIndex":
        """Reads a file that ``update_index`` has written.

        Raises
        ------
        OSError
            If it cannot be read.
        InputError
            If it is damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as found:
                settings = Settings(**json.loads(str(found["settings"])))
                files = json.loads(str(found["files"]))
                ends = np.cumsum(found["counts"])
                parts = np.split(found["embeddings"], ends[:-1])
        except DAMAGE as error:
            raise InputError(
                f"{path} is no index, or damaged ({error}): remove it and "
                "index again, or give another file."
            ) from error
        files = [IndexedFile._make([*x, y]) for x, y in zip(files, parts)]
        return cls(settings, files)

    def save(self, path: Path) -> None:
        """Writes the index."""
        with atomic_path(path) as temporary, open(temporary, "wb") as output:
            np.savez(
                output,
                settings=json.dumps(dataclasses.asdict(self.settings)),
                files=json.dumps([file[:-1] for file in self.files]),
                counts=np.array([len(file.rows) for file in self.files], int),
                embeddings=self.rows,
            )

    @property
    def rows(self) -> np.ndarray:
        """The embeddings of all windows, ``[N, D]``."""
        if not self.files:
            return np.zeros((0, 0), np.float16)
        return np.concatenate([file.rows for file in self.files])

    def check_model(self, tagger: AudioTagger) -> None:
        """Raises an InputError unless the index was made with this model."""
        if file_sha256(tagger.model.path) != self.settings.digest:
            raise InputError(
                "The index was made with another model "
                f"({self.settings.model}): use that model, or make a new index "
                "in another file."
            )

    def embed(
        self,
        tagger: AudioTagger,
        source: Source,
        sample_rate: Optional[int] = None,
    ) -> np.ndarray:
        """The embedding ``[D]`` of an example, the mean over its windows.

        For ``source`` see ``AudioTagger``; check the model by ``check_model``.
        """
        grid = self.settings.window, self.settings.window
        rows, _ = embed_windows(tagger, grid, source, sample_rate)
        return unit_length(rows.mean(0))

    def find(self, examples: np.ndarray, top_k: int = 20) -> List[Place]:
        """Finds the places that are most similar to one of the examples.

        Similarity is the cosine similarity of embeddings, each dimension of
        which is standardised over the index. Of places that overlap, only the
        most similar one is returned. Places that an example was cut from are
        left out, and counted in a message.

        Arguments
        ---------
        examples : numpy.ndarray
            An embedding ``[D]`` of ``embed``, or several, ``[E, D]``.
        top_k : int
            Maximum number of places.

        Returns
        -------
        list of Place
            The most similar place first.

        Raises
        ------
        InputError
            If the index is empty.
        """
        if not self.files:
            raise InputError(
                "The index is empty: none of the files in "
                f"{self.settings.archive} could be read."
            )
        scores = self.similarities(examples)
        ends = np.cumsum([len(file.rows) for file in self.files])
        places: List[Place] = []
        n_same = 0
        taken: Dict[str, List[Place]] = collections.defaultdict(list)
        for row in np.argsort(-scores, kind="stable").tolist():
            number = np.searchsorted(ends, row, side="right")
            file = self.files[number]
            window = int(row - ends[number]) + len(file.rows)
            place = self.place(file, window, float(scores[row]))
            others = taken[place.file]
            if any(place.start < x.end and x.start < place.end for x in others):
                continue
            others.append(place)
            if place.similarity >= SAME:
                n_same += 1
                continue
            places.append(place)
            if len(places) == top_k:
                break
        if n_same:
            logger.info(
                "%s left out: the same as an example", counted(n_same, "place")
            )
        return places

    def place(self, file: IndexedFile, window: int, similarity: float) -> Place:
        """The place of a window of a file, by the window's index."""
        settings = self.settings
        last = max(file.n_samples - settings.window, 0)
        start = min(window * settings.hop, last)
        end = min(start + settings.window, file.n_samples)
        return Place(
            file=os.path.join(settings.archive, file.path),
            start=start / settings.sample_rate,
            end=end / settings.sample_rate,
            similarity=similarity,
        )

    def similarities(self, examples: np.ndarray) -> np.ndarray:
        """The similarity of each window to the closest example, ``[N]``."""
        rows = self.rows
        sample = rows[:: math.ceil(len(rows) / SAMPLE)].astype(np.float32)
        mean = sample.mean(0)
        scale = 1 / np.maximum(sample.std(0), TINY)
        examples = unit_length(np.atleast_2d(np.asarray(examples, np.float32)))
        examples = examples.astype(rows.dtype)  # rounded as the rows are
        examples = unit_length((examples - mean) * scale)
        scores = [
            (unit_length((chunk - mean) * scale) @ examples.T).max(1)
            for chunk in np.array_split(rows, len(rows) // CHUNK + 1)
        ]
        return np.concatenate(scores)


def update_index(
    path: Path,
    tagger: AudioTagger,
    archive: Path,
    window: Optional[float] = None,
    hop: Optional[float] = None,
    model: Optional[str] = None,
    num_workers: int = 4,
    progress: bool = False,
) -> Update:
    """Makes an index of the audio files below a folder, or updates it.

    Files in the index whose size and time are unchanged are not read again.

    Arguments
    ---------
    path : str
        The index, which is written at the end.
    tagger : AudioTagger
    archive : str
        The folder of audio files.
    window, hop : float, optional
        Length of a window in seconds, by default 5 or the model's maximum clip
        length, and step from one to the next, by default the window length.
    model : str, optional
        Where ``fftp-tag find`` loads the model from, by default its file.
    num_workers, progress : int, bool
        Number of threads that read, and whether to show progress.

    Raises
    ------
    FileNotFoundError
        If the archive has no audio files; its disk may not be mounted.
    InputError
        If the index has another archive, model, window or hop, or the window or
        the hop is out of range.
    """
    check_target(path)
    archive = os.path.abspath(archive)
    paths, failed = find_audio_files(archive)
    if not paths:
        extensions = ", ".join(AUDIO_EXTENSIONS)
        raise FileNotFoundError(f"{archive} has no audio files ({extensions}).")
    rate = tagger.sample_rate
    made: Optional[Settings] = None
    known: Dict[str, IndexedFile] = {}
    if os.path.exists(path):
        index = SoundIndex.load(path)
        known = {file.path: file for file in index.files}
        made = index.settings
        window = window or made.window / made.sample_rate
        hop = hop or made.hop / made.sample_rate
    window = window or min(WINDOW, tagger.max_seconds)
    grid = tagger.check_window(window, hop or window)
    model = model or os.path.abspath(tagger.model.path)
    digest = file_sha256(tagger.model.path)
    settings = Settings(archive, model, digest, rate, *grid)
    if made is not None and dataclasses.replace(made, model=model) != settings:
        raise InputError(
            f"{path} is the index of {made.archive}, made with the model "
            f"{made.model}, --window {made.window / made.sample_rate:g} and "
            f"--hop {made.hop / made.sample_rate:g}: give another --output."
        )

    def read(audio: str) -> IndexedFile:
        """A file of the archive, from the index if it has not changed."""
        name = os.path.relpath(audio, archive)
        stat = os.stat(audio)
        file = known.get(name)
        state = stat.st_size, stat.st_mtime_ns
        if file is not None and (file.size, file.mtime_ns) == state:
            return file
        rows, n_samples = embed_windows(tagger, grid, audio)
        rows = rows.astype(np.float16)
        return IndexedFile(name, *state, n_samples, rows)

    files = []
    errors = [one_line(error) for error in failed]
    for _, file, error in show_progress(
        in_order(read, paths, num_workers), len(paths), "files", progress
    ):
        if file is None:
            errors.append(str(error))
        else:
            files.append(file)
    index = SoundIndex(settings, files)
    index.save(path)
    n_kept = sum(known.get(file.path) is file for file in files)
    return Update(
        added=len(files) - n_kept,
        unchanged=n_kept,
        dropped=len(known) - n_kept,
        errors=errors,
        n_windows=len(index.rows),
    )


def embed_windows(
    tagger: AudioTagger,
    grid: Tuple[int, int],
    source: Source,
    sample_rate: Optional[int] = None,
) -> Tuple[np.ndarray, int]:
    """Embeds the windows of a source; returns ``[N, D]`` and its length.

    ``grid`` is the size and the hop of the windows. All lengths are in samples.
    Less than 25 ms after a window are no reason for another one.
    """
    found, ends = [], []
    blocks = read_blocks(source, tagger.sample_rate, sample_rate)
    for _, windows in cut_windows(blocks, grid):
        found.append(tagger.model.embeddings(windows.wavs))
        ends += windows.ends.tolist()
    rows = unit_length(np.concatenate(found))
    if len(ends) > 1 and ends[-1] - ends[-2] < MIN_SECONDS * tagger.sample_rate:
        rows, ends = rows[:-1], ends[:-1]
    return rows, ends[-1]


def unit_length(rows: np.ndarray) -> np.ndarray:
    """Scales vectors ``[..., D]`` to unit length."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows / lengths.clip(min=TINY)
