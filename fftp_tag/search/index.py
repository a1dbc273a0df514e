"""SoundIndex: finds the places of an archive that sound like an example.

An index is a folder. ``index.json`` holds its settings; ``windows.npz`` the list
of files, and the embeddings of all windows, scaled to unit length, in float16.
Each is replaced atomically: if indexing is killed, only files that were read
since the last write are read again.

Authors
 * The speechbrain_fftp authors 2026
"""

import collections
import dataclasses
import json
import logging
import math
import os
import shlex
import time
import zipfile
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

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
from speechbrain_fftp.dataio.files import Path, atomic_path, locked, write_json

logger = logging.getLogger(__name__)

SETTINGS = "index.json"
WINDOWS = "windows.npz"
LOCK = "lock"
WINDOW = 5.0  # seconds, by default
SAVE_SECONDS = 5  # between two writes
CHUNK = 512  # rows that are compared at a time
SAMPLE = 4096  # rows to estimate the mean and the standard deviation
PROBE_TOLERANCE = 0.02  # distance of embeddings of the probe, of unit length
# Similarity of a place to an example that was cut from it: other places are
# below, even of stationary noise
SAME = 0.999995
TINY = 1e-6  # instead of a length or a standard deviation of 0
# Exceptions when a damaged index is read
DAMAGE = (EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile)


@dataclasses.dataclass(frozen=True)
class Settings:
    """Content of ``index.json``; samples are at the model's sampling rate."""

    sample_rate: int
    window: int  # length of a window in samples
    hop: int  # samples from one window to the next
    probe: List[float]  # embedding of noise, which identifies the model
    model: Optional[str]  # where it was loaded from
    archive: str  # the folder whose files are indexed
    n_files: int = 0  # in the archive, when it was last listed
    complete: bool = False  # whether all of them have been read


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
    """Result of ``update_index``: numbers of files, and errors."""

    added: int  # new or changed files that were read
    unchanged: int  # files that were in the index already
    dropped: int  # files in the index that have changed or vanished
    errors: Dict[str, str]  # reasons by relative path, if not readable


class SoundIndex:
    """Embeddings of the windows of all files of a folder.

    Arguments
    ---------
    folder : str
        A folder that ``update_index`` has filled.

    Raises
    ------
    FileNotFoundError
        If the folder is not an index.
    InputError
        If the index is damaged.
    """

    def __init__(self, folder: Path):
        self.folder = os.fspath(folder)
        self.files: List[IndexedFile] = []
        path = os.path.join(folder, SETTINGS)
        if not os.path.isfile(path):
            raise FileNotFoundError(
                f"There is no index in {folder}: `fftp-tag index` makes one."
            )
        try:
            with open(path, encoding="utf-8") as file:
                self.settings = Settings(**json.load(file))
            path = os.path.join(folder, WINDOWS)
            if os.path.isfile(path):
                self.files = read_files(path, len(self.settings.probe))
        except DAMAGE as error:
            raise InputError(
                f"{path} is damaged ({error}): remove {folder} and index again."
            ) from error

    @property
    def rows(self) -> np.ndarray:
        """The embeddings of all windows, ``[N, D]``."""
        none = np.zeros((0, len(self.settings.probe)), np.float16)
        return np.concatenate([none, *(file.rows for file in self.files)])

    @property
    def update_command(self) -> str:
        """The command that brings the index up to date."""
        words = ["fftp-tag", "index", self.settings.archive]
        words += ["--output", self.folder]
        words += ["--model", self.settings.model or "MODEL"]
        return shlex.join(words)

    def write(self) -> None:
        """Writes the list of files and the embeddings."""
        path = os.path.join(self.folder, WINDOWS)
        with atomic_path(path) as temporary, open(temporary, "wb") as output:
            np.savez(
                output,
                files=json.dumps([file[:-1] for file in self.files]),
                counts=[len(file.rows) for file in self.files],
                embeddings=self.rows,
            )

    def change(self, **values: Any) -> None:
        """Changes settings and writes them."""
        self.settings = dataclasses.replace(self.settings, **values)
        write_settings(self.folder, self.settings)

    def check_model(self, tagger: AudioTagger) -> None:
        """Raises an InputError unless the index was made with this model."""
        settings = self.settings
        model = tagger.model
        if (
            model.sample_rate == settings.sample_rate
            and model.max_samples >= settings.window
        ):
            probe = embed_probe(tagger, settings.window)
            expected = np.array(settings.probe, np.float32)
            if probe.shape == expected.shape:
                if np.linalg.norm(probe - expected) <= PROBE_TOLERANCE:
                    return
        raise InputError(
            f"{self.folder} was made with another model "
            f"({settings.model or 'of unknown source'}): use that model, or "
            "make a new index in another folder."
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
        left out, and counted in a message. A warning is logged if files of the
        archive are missing from the index.

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
        if not self.files and self.settings.complete:
            raise InputError(
                f"{self.folder} is empty: none of the files in "
                f"{self.settings.archive} could be read."
            )
        if not self.settings.complete:
            n_files, n_all = len(self.files), self.settings.n_files
            message = (
                f"{self.folder} holds {n_files} of {n_all} files, "
                f"{n_all - n_files} missing: indexing was interrupted, or "
                f"is still running. To continue: {self.update_command}"
            )
            if not self.files:
                raise InputError(message)
            logger.warning(message)
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
        scores = []
        for first in range(0, len(rows), CHUNK):
            chunk = rows[first : first + CHUNK] - mean
            chunk *= scale
            lengths = np.sqrt(np.einsum("ij,ij->i", chunk, chunk))
            cosines = chunk @ examples.T / lengths.clip(min=TINY)[:, None]
            scores.append(cosines.max(1))
        return np.concatenate(scores)


def update_index(
    folder: Path,
    tagger: AudioTagger,
    archive: Path,
    window: Optional[float] = None,
    hop: Optional[float] = None,
    model: Optional[str] = None,
    num_workers: int = 4,
    progress: bool = False,
) -> Update:
    """Brings an index up to date with the audio files below a folder.

    Files in the index whose size and time are unchanged are not read. Files
    that could not be read are tried again each time.

    Arguments
    ---------
    folder : str
        An index, or a new or empty folder.
    tagger : AudioTagger
        Must have the same model for each update.
    archive : str
        The folder of audio files. It may be moved, but an index has only one.
    window, hop : float, optional
        Length of a window in seconds, by default 5 or the model's maximum clip
        length, and step from one to the next, by default the window length.
        They cannot be changed afterwards.
    model : str, optional
        Where the model was loaded from, for ``fftp-tag find``.
    num_workers, progress : int, bool
        Number of threads that read, and whether to show progress.

    Raises
    ------
    FileExistsError
        If the folder is neither empty nor an index.
    FileNotFoundError
        If the archive has no audio files; its disk may not be mounted.
    InputError
        If the index has another archive, model, window or hop, if the window or
        the hop is out of range, or if another process is writing the index.
    """
    archive = os.path.abspath(archive)
    states, errors = list_archive(archive)
    os.makedirs(folder, exist_ok=True)
    names = set(os.listdir(folder)) - {LOCK}
    if names and SETTINGS not in names:
        raise FileExistsError(
            f"{folder} is neither empty nor an index: give another folder."
        )
    with locked(os.path.join(folder, LOCK), "being written"):
        index = open_index(folder, tagger, archive, window, hop)
        before = index.files
        # Keeps files below folders that cannot be read
        hidden = tuple(os.path.join(path, "") for path in errors)
        index.files = [
            file
            for file in before
            if states.get(file.path) == (file.size, file.mtime_ns)
            or file.path.startswith(hidden)
        ]
        unchanged = len(index.files)
        known = {file.path for file in index.files}
        new = [path for path in states if path not in known]
        index.change(
            model=model or index.settings.model,
            archive=archive,
            n_files=unchanged + len(new),
            complete=False,
        )
        grid = index.settings.window, index.settings.hop

        def read(path: str) -> Tuple[np.ndarray, int]:
            """Embeds the windows of a file of the archive."""
            return embed_windows(tagger, grid, os.path.join(archive, path))

        results = in_order(read, new, num_workers)
        due = 0.0  # when to write next
        try:
            for path, found, error in show_progress(
                results, len(new), "files", progress
            ):
                if found is None:
                    errors[path] = str(error)
                    continue
                rows, n_samples = found
                rows = rows.astype(np.float16)
                file = IndexedFile(path, *states[path], n_samples, rows)
                index.files.append(file)
                now = time.monotonic()
                if now >= due:
                    index.write()
                    # Writing takes a tenth of the time, even of a large index
                    needed = time.monotonic() - now
                    due = now + max(SAVE_SECONDS, 10 * needed)
        finally:  # also after Ctrl+C
            if new or unchanged < len(before):
                index.write()
        index.change(complete=True)
    return Update(
        added=len(index.files) - unchanged,
        unchanged=unchanged,
        dropped=len(before) - unchanged,
        errors=errors,
    )


def open_index(
    folder: Path,
    tagger: AudioTagger,
    archive: str,
    window: Optional[float],
    hop: Optional[float],
) -> SoundIndex:
    """Opens or creates an index, see ``update_index``."""
    rate = tagger.sample_rate
    if not os.path.isfile(os.path.join(folder, SETTINGS)):
        window = window or min(WINDOW, tagger.max_seconds)
        size, step = tagger.check_window(window, hop or window)
        probe = embed_probe(tagger, size).tolist()
        write_settings(folder, Settings(rate, size, step, probe, None, archive))
    index = SoundIndex(folder)
    index.check_model(tagger)
    for option, given, made in (
        ("--window", window, index.settings.window),
        ("--hop", hop, index.settings.hop),
    ):
        if given is not None and round(given * rate) != made:
            raise InputError(
                f"{folder} was made with {option} {made / rate:g}: leave "
                f"{option} out, or give another folder for a new index."
            )
    before = index.settings.archive
    if os.path.isdir(before) and not os.path.samefile(before, archive):
        raise InputError(
            f"{folder} is the index of {before}: make another index for "
            f"{archive}, or index a folder that holds both."
        )
    return index


def write_settings(folder: Path, settings: Settings) -> None:
    """Writes ``index.json``."""
    path = os.path.join(folder, SETTINGS)
    write_json(path, dataclasses.asdict(settings))


def read_files(path: str, dim: int) -> List[IndexedFile]:
    """Reads ``windows.npz``; raises a ValueError if it is damaged."""
    with np.load(path, allow_pickle=False) as found:
        rows, counts = found["embeddings"], found["counts"]
        files = json.loads(str(found["files"]))
    if rows.shape != (counts.sum(), dim) or len(files) != len(counts):
        raise ValueError(f"embeddings {rows.shape}")
    parts = np.split(rows, np.cumsum(counts)[:-1])
    return [IndexedFile._make([*file, x]) for file, x in zip(files, parts)]


def list_archive(
    folder: str,
) -> Tuple[Dict[str, Tuple[int, int]], Dict[str, str]]:
    """Lists the audio files of an archive.

    Returns the size in bytes and the time in ns of each file, and the reasons
    why files and folders cannot be read, by path relative to the archive.
    """
    paths, failed = find_audio_files(folder)
    if not paths:
        known = ", ".join(AUDIO_EXTENSIONS)
        raise FileNotFoundError(f"{folder} has no audio files ({known}).")
    states = {}
    for path in paths:
        try:
            state = os.stat(path)
        except OSError as error:
            failed.append(error)
        else:
            name = os.path.relpath(path, folder)
            states[name] = state.st_size, state.st_mtime_ns
    errors = {os.path.relpath(x.filename, folder): one_line(x) for x in failed}
    return states, errors


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


def embed_probe(tagger: AudioTagger, size: int) -> np.ndarray:
    """The embedding ``[D]`` of fixed noise, which identifies a model."""
    noise = 0.1 * np.random.RandomState(0).standard_normal((1, size))
    return unit_length(tagger.model.embeddings(noise.astype(np.float32))[0])


def unit_length(rows: np.ndarray) -> np.ndarray:
    """Scales vectors ``[..., D]`` to unit length."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows / lengths.clip(min=TINY)
