"""Tags many files: they are read ahead, and short ones share a batch.

Authors
 * The speechbrain_fftp authors 2026
"""

import collections
import concurrent.futures
import dataclasses
import itertools

import numpy as np
import torch

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

    def to_dict(self):
        """Returns the file and either its tags or the error.

        Returns
        -------
        dict
        """
        values = dataclasses.asdict(self).items()
        return {name: value for name, value in values if value is not None}


def tag_many(tag_batch, read, paths, num_workers):
    """Computes the probabilities of files, in order and in constant memory.

    ``tag_batch`` maps waveforms ``[B, S]`` and relative lengths ``[B]`` to
    probabilities ``[B, C]``; ``read`` returns what ``file_windows`` does of a
    file, in one of some threads. The paths may be endless. Yields each,
    with the maximum over its windows ``[C]``, or why it cannot be read.
    """
    files, waiting, file = [], [], None
    for path, found in _read_ahead(read, paths, num_workers):
        if file is None:
            file = {"path": path, "found": None}
            files.append(file)
        if isinstance(found, torch.Tensor):
            waiting += [(file, wav) for wav in found.numpy()]
            if len(waiting) >= MAX_WAITING:
                _tag(tag_batch, waiting)
            continue
        if found is not None:
            waiting = [item for item in waiting if item[0] is not file]
            file["found"] = found
        # Part of the file is tagged already, or there is enough to yield
        if file["found"] is not None or len(files) >= MAX_WAITING:
            _tag(tag_batch, waiting)
            yield from (tuple(file.values()) for file in files)
            files.clear()
        file = None
    _tag(tag_batch, waiting)
    yield from (tuple(file.values()) for file in files)


def _read_ahead(read, paths, num_workers):
    """Yields each file's path with all batches, then with None or an error.

    At most ``2 * num_workers`` files are open, each with one batch.
    """
    pool = concurrent.futures.ThreadPoolExecutor(num_workers)
    paths, opened = iter(paths), collections.deque()

    def step(path, batches):
        """Reads the next batch of a file; returns its iterator as well."""
        try:
            batches = read(path) if batches is None else batches
            *_, wavs = next(batches, [None])
            return batches, wavs
        except READING_ERRORS as error:
            return None, " ".join(str(error).splitlines())

    try:
        while True:
            missing = 2 * num_workers - len(opened)
            for path in itertools.islice(paths, missing):
                opened.append((path, pool.submit(step, path, None)))
            if not opened:
                return
            path, future = opened.popleft()
            batches, found = future.result()
            while isinstance(found, torch.Tensor):
                future = pool.submit(step, path, batches)
                yield path, found
                batches, found = future.result()
            yield path, found
    finally:
        pool.shutdown(cancel_futures=True)


def _tag(tag_batch, waiting):
    """Tags all windows that wait, those of similar lengths together."""
    waiting.sort(key=lambda item: len(item[1]))
    while waiting:
        size = len(waiting[-1][1])
        first = max(len(waiting) - BATCH_WINDOWS, 0)
        while len(waiting[first][1]) < MIN_LENGTH * size:
            first += 1
        batch = waiting[first:]
        del waiting[first:]
        wavs = np.zeros((len(batch), size), np.float32)
        for row, (_, wav) in zip(wavs, batch):
            row[: len(wav)] = wav
        lens = [len(wav) / size for _, wav in batch]
        lens = None if min(lens) == 1 else torch.tensor(lens)
        probs = tag_batch(torch.from_numpy(wavs), lens).cpu()
        for (file, _), new in zip(batch, probs):
            old = file["found"]
            file["found"] = new if old is None else old.maximum(new)
