"""Windows of audio files of any length, in constant memory.

Authors
 * The speechbrain_fftp authors 2026
"""

import itertools
import math
import os

import numpy as np
import torch
from tqdm import tqdm

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio import audio

logger = get_logger(__name__)

BATCH_WINDOWS = 16  # windows that are passed to the model at a time


def frame_size(compute_features):
    """Window, shift and margin of a front end's frames, in samples.

    Read from ``window``, ``shift`` and ``center``, if present, as of
    ``KaldiFbank``, or else from ``compute_STFT``, as of SpeechBrain's ``Fbank``.

    Arguments
    ---------
    compute_features : torch.nn.Module

    Returns
    -------
    window, shift, margin : int
        Length of a frame, step from one start to the next, and by how much the
        first and the last frame together reach beyond the clip: ``window`` if
        the frames are centred, else 0.

    Raises
    ------
    ValueError
        If the front end has neither.

    Example
    -------
    >>> from speechbrain.lobes.features import Fbank
    >>> frame_size(Fbank(win_length=32, hop_length=16))
    (512, 256, 512)
    """
    stft = getattr(compute_features, "compute_STFT", None)
    if stft is not None:
        window = stft.win_length
        return window, stft.hop_length, window if stft.center else 0
    try:
        window, shift = compute_features.window, compute_features.shift
    except AttributeError as error:
        raise ValueError(
            f"The frames of {type(compute_features).__name__} are unknown: "
            "give compute_features the attributes window and shift, in samples."
        ) from error
    return window, shift, window * getattr(compute_features, "center", False)


def num_samples(compute_features, frames):
    """Returns the length of the shortest clip with a number of frames.

    Arguments
    ---------
    compute_features, frames : torch.nn.Module, int
        The front end, see ``frame_size``, and the number of frames.

    Returns
    -------
    int
        At least one frame.

    Example
    -------
    >>> from speechbrain_fftp.lobes.features import KaldiFbank
    >>> num_samples(KaldiFbank(), 2)
    560
    """
    window, shift, margin = frame_size(compute_features)
    return max((frames - 1) * shift + window - margin, window)


def audio_blocks(source, sample_rate):
    """Reads audio as consecutive blocks of mono samples at a given rate.

    Logs a warning if the end of the file is missing.

    Arguments
    ---------
    source : str, bytes or file
        Path, content, or a binary file object.
    sample_rate : int

    Yields
    ------
    numpy.ndarray
        The next samples ``[S]``, float32.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or if it cannot be read as audio, is shorter
        than 25 ms, or has samples that are not finite or far beyond full scale.

    Example
    -------
    >>> import soundfile
    >>> path = str(getfixture("tmpdir") / "a.wav")
    >>> soundfile.write(path, np.zeros((96000, 2)), 48000)
    >>> sum(len(block) for block in audio_blocks(path, 16000))
    32000
    """
    name = _name(source)
    try:
        if isinstance(source, (str, os.PathLike)):
            os.stat(source)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{name}: {error.strerror}") from None
    try:
        with audio.open_audio(source) as file:
            rate = file.samplerate
            yield from audio.resampled_blocks(
                audio.mono_blocks(file), rate, sample_rate
            )
            if missing := file.missing_part():
                logger.warning("%s is truncated: read %s", name, missing)
    except ValueError as error:
        raise ValueError(f"{name} is not readable audio: {error}") from error
    if file.found == 0:
        raise ValueError(f"{name} holds no audio: it has no samples.")
    if file.found < audio.MIN_SECONDS * rate:
        raise ValueError(f"{name} is shorter than 25 ms: {file.found} samples.")


def _name(source):
    """What messages call a source: its path, if it has one."""
    if isinstance(source, os.PathLike):
        return str(source)
    name = getattr(source, "name", source)
    return name if isinstance(name, str) else "the audio"


def _cut_windows(blocks, grids):
    """Yields the windows of a waveform that arrives in blocks.

    A window is its start and its end, in samples, whether it belongs to each
    of the grids, and its samples ``[S]``. See ``file_windows``.
    """
    held, begin = np.zeros(0, np.float32), 0  # samples kept, and their start
    numbers = [0] * len(grids)  # of the next window of each grid
    for block in itertools.chain(blocks, [None]):
        if block is not None:
            held = np.concatenate([held, block]) if len(held) else block
        total, due, kept = begin + len(held), {}, []
        for grid, (size, hop) in enumerate(grids):
            starts = [max(total - size, 0)] if block is None else []
            while (start := round(numbers[grid] * hop)) + size < total:
                starts.append(start)
                numbers[grid] += 1
            kept += [start, total - size]  # of the next and the last window
            for start in starts:  # A window in several grids comes once
                span = start, min(start + size, total)
                due.setdefault(span, [False] * len(grids))[grid] = True
        for (start, end), members in sorted(due.items()):
            yield start, end, members, held[start - begin : end - begin]
        drop = max(min(kept) - begin, 0)
        held, begin = held[drop:], begin + drop


def file_windows(source, sample_rate, grids, shortest=0, progress=False):
    """Reads an audio file of any length as batches of windows.

    The windows of a grid start at 0, ``hop``, 2 ``hop``, ... and have equal
    lengths: the last one is shifted so that it ends with the file. A file
    shorter than a window is one window. A window that belongs to several grids
    comes only once.

    Arguments
    ---------
    source : str, bytes, file or list of numpy.ndarray
        The audio file, or consecutive samples at the sampling rate.
    sample_rate : int
    grids : list of tuple
        ``size`` and ``hop`` of each grid in samples; starts are rounded.
    shortest : int
        Logs a warning if there are fewer samples, which are no whole patch.
    progress : bool

    Yields
    ------
    spans, members, wavs : torch.Tensor
        Start and end ``[B, 2]`` of up to 16 windows in samples, whether they
        belong to each grid ``[B, G]``, and their samples ``[B, S]``. Windows of
        a grid are in order.

    Raises
    ------
    ValueError
        If the source is an array.

    Example
    -------
    >>> blocks = [np.zeros(15000, np.float32), np.zeros(5000, np.float32)]
    >>> for spans, _, wavs in file_windows(blocks, 8000, [(8000, 8000)]):
    ...     print(spans.tolist(), wavs.shape)
    [[0, 8000], [8000, 16000], [12000, 20000]] torch.Size([3, 8000])
    """
    if isinstance(source, (np.ndarray, torch.Tensor)):
        raise ValueError("An array has no sampling rate: use tag.")
    is_list = isinstance(source, list)
    blocks = source if is_list else audio_blocks(source, sample_rate)
    waiting = {}  # windows by their lengths
    for window in tqdm(
        _cut_windows(blocks, grids),
        total=_claimed_windows(source, sample_rate, grids) if progress else 0,
        desc=os.path.basename(_name(source)),
        unit="window",
        leave=False,
        disable=not progress,
    ):
        if (size := window[1] - window[0]) < shortest:  # the only window
            lengths = (
                f"{size / sample_rate:.3g} of {shortest / sample_rate:.3g}"
            )
            logger.warning(
                f"{_name(source)} is shorter than one patch of the model "
                f"({lengths} s): its tags may be wrong"
            )
        batch = waiting.setdefault(size, [])
        batch.append(window)
        if len(batch) == BATCH_WINDOWS:
            yield _collate(batch)
            batch.clear()
    yield from map(_collate, filter(None, waiting.values()))


def _claimed_windows(path, sample_rate, grids):
    """Number of windows by the header; None if that is not quickly read."""
    name = _name(path).lower()
    if hasattr(path, "read") or name.endswith(audio.FFMPEG_EXTENSIONS):
        return None
    try:
        with audio.open_audio(path) as file:
            samples = file.frames / file.samplerate * sample_rate
    except (OSError, ValueError):
        return None
    return sum(
        max(math.ceil((samples - size) / hop), 0) + 1 for size, hop in set(grids)
    )


def _collate(batch):
    """Batches windows of ``_cut_windows``, see ``file_windows``."""
    starts, ends, members, samples = zip(*batch)
    spans, members = torch.tensor([starts, ends]).T, torch.tensor(members)
    return spans, members, torch.from_numpy(np.stack(samples))
