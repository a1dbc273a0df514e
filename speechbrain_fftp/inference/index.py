"""SoundIndex: finds the places of an archive that sound like an example.

An index is a folder. ``index.json`` holds its settings; ``windows.npz`` the list
of files, and the embeddings of all windows, scaled to unit length, in float16.
Both are replaced when complete: what a killed run has read since it last wrote
them is read again.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses
import functools
import json
import math
import os
import time
import zipfile
from typing import Optional

import numpy as np

from speechbrain_fftp.dataio.audio import AUDIO_EXTENSIONS, find_audio_files
from speechbrain_fftp.dataio.files import atomic_path, locked, write_json
from speechbrain_fftp.inference.many_files import READING_ERRORS, read_ahead

SETTINGS = "index.json"
WINDOWS = "windows.npz"
DEFAULT_WINDOW = 5.0  # seconds
SAVE_SECONDS = 60  # between writing what was read
CHUNK = 512  # rows that are compared at a time
SAMPLE = 4096  # rows whose mean and standard deviation are taken
PROBE_TOLERANCE = 0.02  # of the embedding of a probe, relative to its length
TINY = 1e-6  # instead of a length or a standard deviation of 0


@dataclasses.dataclass(frozen=True)
class Settings:
    """What ``index.json`` holds, times in seconds.

    Arguments
    ---------
    archive : str, optional
        The folder whose files are indexed.
    model : str, optional
        Where the model was loaded from.
    probe : list of float
        The embedding of a noise, by which the model is known again.
    window, hop : float
    sample_rate : int
        Of the model.
    """

    archive: Optional[str]
    model: Optional[str]
    probe: list
    window: float
    hop: float
    sample_rate: int


@dataclasses.dataclass(frozen=True)
class IndexedFile:
    """A file of the archive, its state, and what was read.

    The path is relative to the archive; samples are those at the model's rate.
    """

    path: str
    size: int
    mtime_ns: int
    n_samples: int
    n_windows: int


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
        """Returns the fields by name."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Update:
    """What ``SoundIndex.add_folder`` has done.

    Arguments
    ---------
    added, unchanged, dropped : int
        Numbers of files: those that were read; those that were in the index;
        and those that were, but have changed or vanished.
    errors : dict
        From paths of files and folders that cannot be read to the reasons.
    """

    added: int
    unchanged: int
    dropped: int
    errors: dict


def open_index(
    folder, tagger, window=None, hop=None, model=None
) -> "SoundIndex":
    """Opens an index, or begins one if the folder is empty or missing.

    Arguments
    ---------
    folder : str
    tagger : AudioTagger
        The model, which must be that of the index.
    window, hop : float, optional
        Length of a window in seconds, by default 5 or the model's maximum clip
        length, and step from one to the next, by default the window. Those of
        an index do not change.
    model : str, optional
        Where the model was loaded from, for ``fftp-tag find``. An index is told
        if it has moved.

    Raises
    ------
    FileExistsError
        If the folder holds anything else.
    ValueError
        If the index was made with another model, window or hop, or they are
        out of range.
    """
    if os.path.isfile(os.path.join(folder, SETTINGS)):
        index = SoundIndex(folder)
        index.check_model(tagger)
        for name, value in (("window", window), ("hop", hop)):
            existing = getattr(index.settings, name)
            if value is not None and value != existing:
                raise ValueError(
                    f"{folder} has {name}={existing:g} and not {value:g}: "
                    "leave it out, or give another folder for a new index."
                )
        if model is not None:
            index.set_model(model)
        return index
    os.makedirs(folder, exist_ok=True)
    if not all(name.endswith(".tmp") for name in os.listdir(folder)):
        raise FileExistsError(
            f"{folder} is not empty and no index: give another folder."
        )
    window = window or min(DEFAULT_WINDOW, tagger.max_window)
    window, hop = tagger.check_window(window, hop or window)
    settings = Settings(
        archive=None,
        model=model,
        probe=[float(x) for x in embed_probe(tagger, window)],
        window=window,
        hop=hop,
        sample_rate=tagger.sample_rate,
    )
    write_settings(folder, settings)
    return SoundIndex(folder)


class SoundIndex:
    """Embeddings of the windows of all files of a folder.

    Arguments
    ---------
    folder : str
        One that ``open_index`` has made.

    Raises
    ------
    FileNotFoundError
        If it is no index.
    ValueError
        If it is damaged.
    """

    def __init__(self, folder):
        self.folder = os.fspath(folder)
        self.read()

    def read(self):
        """Reads the settings, the list of files and the embeddings."""
        self.settings = read_settings(self.folder)
        self.files = []
        dim = len(self.settings.probe)
        self.blocks = [np.zeros((0, dim), np.float16)]
        path = os.path.join(self.folder, WINDOWS)
        if not os.path.isfile(path):  # nothing was added yet
            return
        try:
            with np.load(path, allow_pickle=False) as found:
                rows = found["embeddings"]
                files = json.loads(str(found["files"]))
            self.files = [IndexedFile(*file) for file in files]
            if rows.shape != (self.n_rows, dim):
                raise ValueError(f"embeddings {rows.shape} of {self.n_rows}")
        except (KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"{path} is damaged ({error}): remove {self.folder} and index "
                "again."
            ) from error
        self.blocks = [rows]

    def write(self):
        """Writes the list of files and the embeddings."""
        files = [dataclasses.astuple(file) for file in self.files]
        path = os.path.join(self.folder, WINDOWS)
        with atomic_path(path) as temporary, open(temporary, "wb") as output:
            np.savez(output, files=json.dumps(files), embeddings=self.rows())

    @property
    def n_rows(self):
        """Number of windows."""
        return sum(file.n_windows for file in self.files)

    def rows(self):
        """The embeddings of all windows, ``[N, D]``."""
        if len(self.blocks) > 1:
            self.blocks = [np.concatenate(self.blocks)]
        return self.blocks[0]

    def check_model(self, tagger):
        """Raises a ValueError unless the index was made with this model.

        It is recognised by its embedding of a noise, whatever its form is: an
        ONNX file is the same model as the folder that it was exported from.
        """
        probe = np.array(self.settings.probe, np.float32)
        is_same = tagger.sample_rate == self.settings.sample_rate
        if is_same:
            found = embed_probe(tagger, self.settings.window)
            is_same = found.shape == probe.shape
        if is_same:
            is_same = np.linalg.norm(found - probe) <= PROBE_TOLERANCE
        if not is_same:
            raise ValueError(
                f"{self.folder} was made with another model "
                f"({self.settings.model or 'of unknown source'}): use that, "
                "or make a new index in another folder."
            )

    def add_folder(
        self, tagger, folder, num_workers=4, progress=False
    ) -> Update:
        """Brings the index up to date with the audio files below a folder.

        Files that are in it and have the same size and time are not read.
        Those that cannot be read are tried again each time.

        Arguments
        ---------
        tagger : AudioTagger
            The model of the index.
        folder : str
            The archive. It may be moved, but an index has only one.
        num_workers, progress : int, bool
            Threads that read, and whether to show a progress bar.

        Returns
        -------
        Update

        Raises
        ------
        FileNotFoundError
            If there is no such folder, or it has no audio files.
        RuntimeError
            If another process adds to the index.
        ValueError
            If the index is that of another folder or model.
        """
        from tqdm import tqdm  # here: it is not needed to find

        self.check_model(tagger)
        lock = os.path.join(self.folder, "lock")
        with locked(lock, "being written"):
            self.read()
            states, errors = list_archive(folder)
            self.set_archive(os.path.abspath(folder))
            dropped = self.keep_files(states, errors)
            known = {file.path for file in self.files}
            new = [path for path in states if path not in known]
            files = read_ahead(
                new,
                read=functools.partial(self.read_windows, tagger),
                num_workers=num_workers,
            )
            bar = tqdm(files, total=len(new), unit="file", disable=not progress)
            unchanged = len(known)
            written = time.monotonic()
            try:
                for path, batches in bar:
                    try:
                        rows, n_samples = embed_windows(tagger, batches)
                    except READING_ERRORS as error:
                        errors[path] = " ".join(str(error).splitlines())
                        continue
                    size, mtime_ns = states[path]
                    file = IndexedFile(
                        path=path,
                        size=size,
                        mtime_ns=mtime_ns,
                        n_samples=n_samples,
                        n_windows=len(rows),
                    )
                    self.files.append(file)
                    self.blocks.append(rows.astype(np.float16))
                    if time.monotonic() - written > SAVE_SECONDS:
                        self.write()
                        written = time.monotonic()
            finally:  # also at Ctrl+C
                if dropped or len(self.files) > unchanged:
                    self.write()
        return Update(
            added=len(self.files) - unchanged,
            unchanged=unchanged,
            dropped=dropped,
            errors=errors,
        )

    def read_windows(self, tagger, path):
        """Yields the ``Windows`` of a file of the archive."""
        path = os.path.join(self.settings.archive, path)
        return tagger.windows(path, self.settings.window, self.settings.hop)

    def set_model(self, model):
        """Stores where the model was loaded from."""
        settings = dataclasses.replace(self.settings, model=model)
        if settings != self.settings:
            self.settings = settings
            write_settings(self.folder, settings)

    def set_archive(self, archive):
        """Stores which folder is indexed.

        Raises
        ------
        ValueError
            If it is another one, and not the same that was moved.
        """
        before = self.settings.archive
        if before == archive:
            return
        if before is not None and os.path.isdir(before):
            if not os.path.samefile(before, archive):
                raise ValueError(
                    f"{self.folder} is the index of {before}: make another one "
                    f"for {archive}, or index a folder that holds both."
                )
        self.settings = dataclasses.replace(self.settings, archive=archive)
        write_settings(self.folder, self.settings)

    def keep_files(self, states, errors):
        """Drops files that have changed or vanished; returns their number.

        ``states`` are those of ``list_archive``. What is below a folder that
        cannot be read, one of the ``errors``, is kept.
        """
        hidden = tuple(os.path.join(path, "") for path in errors)
        is_kept = [
            states.get(file.path) == (file.size, file.mtime_ns)
            or file.path.startswith(hidden)
            for file in self.files
        ]
        counts = [file.n_windows for file in self.files]
        self.blocks = [self.rows()[np.repeat(np.array(is_kept, bool), counts)]]
        self.files = [f for f, kept in zip(self.files, is_kept) if kept]
        return len(is_kept) - len(self.files)

    def first_rows(self):
        """The first row of each file, ``[F]``."""
        counts = [file.n_windows for file in self.files]
        return np.cumsum([0, *counts])[:-1]

    def embed(self, tagger, source) -> np.ndarray:
        """The embedding ``[D]`` of an example, the mean over its windows.

        Arguments
        ---------
        tagger : AudioTagger
            The model of the index, see ``check_model``.
        source : str, bytes, file or list
            See ``read_windows``.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is no audio file.
        """
        window = self.settings.window
        rows, _ = embed_windows(tagger, tagger.windows(source, window, window))
        return unit_length(rows.mean(0))

    def find(self, examples, top_k=20) -> list:
        """Finds the places that are most similar to one of the examples.

        Similarity is the cosine of the angle between embeddings, after each
        of their components was standardised over the index. Of places that
        overlap, only the most similar one is returned.

        Arguments
        ---------
        examples : numpy.ndarray or list
            An embedding ``[D]`` of ``embed``, or several, ``[E, D]``.
        top_k : int
            Maximum number of places.

        Returns
        -------
        list of Place
            The most similar one first.
        """
        scores = self.similarities(examples)
        window, hop = self.settings.window, self.settings.hop
        # No place overlaps more than these and the last window of its file
        overlapping = 2 * math.ceil(window / hop) + 1
        count = min(top_k * overlapping, len(scores))
        if count == 0:
            return []
        best = np.argpartition(-scores, count - 1)[:count]
        best = best[np.argsort(-scores[best], kind="stable")]
        first_rows = self.first_rows()
        numbers = np.searchsorted(first_rows, best, side="right") - 1
        places, taken = [], {}
        for row, number in zip(best.tolist(), numbers.tolist()):
            file = self.files[number]
            start, end = self.window_samples(file, row - first_rows[number])
            others = taken.setdefault(number, [])
            if any(start < e and s < end for s, e in others):
                continue
            others.append((start, end))
            places.append(
                Place(
                    file=os.path.join(self.settings.archive, file.path),
                    start=float(start / self.settings.sample_rate),
                    end=float(end / self.settings.sample_rate),
                    similarity=float(scores[row]),
                )
            )
            if len(places) == top_k:
                break
        return places

    def window_samples(self, file, number):
        """The first sample of a window of a file, and the one after it."""
        rate = self.settings.sample_rate
        size = round(self.settings.window * rate)
        last = max(file.n_samples - size, 0)
        start = min(round(number * self.settings.hop * rate), last)
        return start, min(start + size, file.n_samples)

    def similarities(self, examples):
        """The similarity of each window to the closest example, ``[N]``."""
        rows = self.rows()
        scores = np.zeros(len(rows), np.float32)
        if not len(rows):
            return scores
        sample = rows[:: math.ceil(len(rows) / SAMPLE)].astype(np.float32)
        mean = sample.mean(0)
        scale = 1 / np.maximum(sample.std(0), TINY)
        examples = unit_length(np.atleast_2d(np.asarray(examples, np.float32)))
        examples = unit_length((examples - mean) * scale)
        columns = np.ascontiguousarray(examples.T)  # [D, E], faster
        buffer = np.empty((CHUNK, rows.shape[1]), np.float32)
        for first in range(0, len(rows), CHUNK):
            chunk = rows[first : first + CHUNK]
            chunk = np.subtract(chunk, mean, out=buffer[: len(chunk)])
            chunk *= scale
            lengths = np.sqrt(np.einsum("ij,ij->i", chunk, chunk))
            found = (chunk @ columns).max(1) / lengths.clip(min=TINY)
            scores[first : first + len(chunk)] = found
        return scores


def list_archive(folder):
    """The audio files of an archive.

    Returns
    -------
    states : dict
        From the path of each file, relative to the folder, to its size and
        time of change in ns.
    errors : dict
        Of files and folders that cannot be read, by relative path.

    Raises
    ------
    FileNotFoundError
        If there are none: the disk may not be mounted.
    """
    paths, failed = find_audio_files(folder)
    if not paths:
        known = ", ".join(AUDIO_EXTENSIONS)
        raise FileNotFoundError(f"{folder} has no audio files ({known}).")
    states = {}
    errors = {
        os.path.relpath(error.filename, folder): str(error.strerror)
        for error in failed
    }
    for path in paths:
        name = os.path.relpath(path, folder)
        try:
            state = os.stat(path)
        except OSError as error:
            errors[name] = str(error.strerror)
        else:
            states[name] = state.st_size, state.st_mtime_ns
    return states, errors


def embed_windows(tagger, batches):
    """Embeddings ``[N, D]`` of the windows of a file, and its length."""
    rows, n_samples = [], 0
    for windows in batches:
        rows.append(tagger.engine.embeddings(windows.wavs))
        n_samples = int(windows.ends[-1])
    rows = np.concatenate(rows).astype(np.float32)
    if not np.isfinite(rows).all():
        raise ValueError("the model returns NaN: its weights are damaged")
    return unit_length(rows), n_samples


def unit_length(rows):
    """The vectors ``[..., D]``, divided by their lengths."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return rows / lengths.clip(min=TINY)


def embed_probe(tagger, window):
    """The embedding ``[D]`` of a window of noise, which is always the same."""
    size = round(window * tagger.sample_rate)
    noise = 0.1 * np.random.RandomState(0).standard_normal((1, size))
    [embedding] = tagger.engine.embeddings(noise.astype(np.float32))
    return unit_length(np.asarray(embedding, np.float32))


def write_settings(folder, settings):
    """Writes ``index.json``."""
    path = os.path.join(folder, SETTINGS)
    write_json(path, dataclasses.asdict(settings))


def read_settings(folder):
    """Reads ``index.json``."""
    path = os.path.join(folder, SETTINGS)
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"{folder} is no index: `fftp-tag index` makes one."
        )
    try:
        with open(path, encoding="utf-8") as file:
            return Settings(**json.load(file))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} cannot be used: {error}") from error
