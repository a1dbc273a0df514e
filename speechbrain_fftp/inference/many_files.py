"""Tags many files: they are read ahead, and short ones share a batch.

Authors
 * The speechbrain_fftp authors 2026
"""

import collections
import concurrent.futures
import dataclasses
import itertools

import numpy as np

from speechbrain_fftp.inference.windows import BATCH_WINDOWS

READING_ERRORS = (ImportError, OSError, ValueError)  # a package may be missing
MAX_WAITING = 2 * BATCH_WINDOWS  # windows, or files, that wait for the model
MIN_LENGTH = 0.75  # of the clips of a batch, relative to the longest one


@dataclasses.dataclass(frozen=True)
class FileTags:
    """The tags of a file, or the reason why there are none.

    Arguments
    ---------
    file : str
    tags, error : list of Tag, str, optional
        The highest probability first; why the file cannot be read.

    Example
    -------
    >>> FileTags("a.wav", error="a.wav is empty.").to_dict()
    {'file': 'a.wav', 'error': 'a.wav is empty.'}
    """

    file: str
    tags: list = None
    error: str = None

    def to_dict(self) -> dict:
        """Returns the file and either its tags or the error."""
        values = dataclasses.asdict(self).items()
        return {name: value for name, value in values if value is not None}


class PendingFile:
    """A file whose windows are being tagged."""

    def __init__(self, path, combine):
        self.path = path
        self.combine = combine
        self.probs = None  # those of its windows so far, combined
        self.error = None  # why it cannot be read

    def read_next(self, batches):
        """The next batch of its windows; None at the end or after an error."""
        try:
            return next(batches, None)
        except READING_ERRORS as error:
            self.error = " ".join(str(error).splitlines())
            return None

    def add(self, probs):
        """Adds the probabilities of a window, ``[C]``."""
        if self.probs is None:
            self.probs = probs
        else:
            self.probs = self.combine(self.probs, probs)


def tag_many(paths, read, predict, num_workers=4, combine=np.maximum):
    """Computes the probabilities of files, in order and in constant memory.

    Arguments
    ---------
    paths : iterable
        The files, which may be endless.
    read : callable
        Yields the ``Windows`` of a file; it is called in threads.
    predict : callable
        Maps waveforms ``[B, S]`` and relative lengths ``[B]``, or None, to
        probabilities ``[B, C]``.
    num_workers : int
        Number of threads.
    combine : callable
        Of the probabilities of two windows of a file.

    Yields
    ------
    PendingFile
        The probabilities of its windows, combined, or its error.
    """
    files, waiting = [], []
    for path, batches in read_ahead(paths, read, num_workers):
        file = PendingFile(path, combine)
        files.append(file)
        while (windows := file.read_next(batches)) is not None:
            waiting += [(file, wav) for wav in windows.wavs]
            if len(waiting) >= MAX_WAITING:
                waiting = tag_waiting(waiting, predict)
        if file.error is not None:
            waiting = [item for item in waiting if item[0] is not file]
        if file.error is not None or len(files) >= MAX_WAITING:
            waiting = tag_waiting(waiting, predict)
            yield from files
            files = []
    tag_waiting(waiting, predict)
    yield from files


def read_ahead(paths, read, num_workers):
    """Yields each path with an iterator of its batches, read in threads.

    At most ``2 * num_workers`` files are open, each with one batch. Errors are
    raised by the iterators.
    """
    pool = concurrent.futures.ThreadPoolExecutor(num_workers)
    paths = iter(paths)
    opened = collections.deque()

    def batches_of(batches, future):
        """Yields batches, while a thread reads the next one."""
        while (windows := future.result()) is not None:
            future = pool.submit(next, batches, None)
            yield windows

    try:
        while True:
            missing = 2 * num_workers - len(opened)
            for path in itertools.islice(paths, missing):
                batches = read(path)
                future = pool.submit(next, batches, None)
                opened.append((path, batches_of(batches, future)))
            if not opened:
                return
            yield opened.popleft()
    finally:
        pool.shutdown(cancel_futures=True)


def tag_waiting(waiting, predict):
    """Tags all windows that wait, those of similar lengths together.

    Returns an empty list, for those that wait next.
    """
    waiting = sorted(waiting, key=lambda item: len(item[1]))
    while waiting:
        size = len(waiting[-1][1])
        first = max(len(waiting) - BATCH_WINDOWS, 0)
        while len(waiting[first][1]) < MIN_LENGTH * size:
            first += 1
        batch = waiting[first:]
        waiting = waiting[:first]
        wavs = np.zeros((len(batch), size), np.float32)
        for row, (_, wav) in zip(wavs, batch):
            row[: len(wav)] = wav
        lens = np.array([len(wav) / size for _, wav in batch])
        probs = predict(wavs, None if lens.min() == 1 else lens)
        for (file, _), row in zip(batch, probs):
            file.add(row)
    return []
