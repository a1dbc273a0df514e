"""Samples of arrays, and windows of files of any length in constant memory.

Authors
 * The speechbrain_fftp authors 2026
"""

import itertools
import math
import numbers
import os

import numpy as np
import torch
from tqdm import tqdm

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio import audio

logger = get_logger(__name__)

BATCH_WINDOWS = 16  # windows that are passed to the model at a time
MAX_CHANNELS = 8  # of a 2-D array
# Offset and full scale of the integers that audio files hold
INTEGERS = {"u1": (128, 2**7), "i1": (0, 2**7), "i2": (0, 2**15)}
INTEGERS["i4"] = (0, 2**31)


def frame_size(compute_features):
    """Window and shift of a front end's frames, and their margin, in samples.

    The margin is by how much the first and the last frame together reach beyond
    the clip: the window if frames are centred, else 0. Read from ``window``,
    ``shift`` and ``center``, or from ``compute_STFT`` of SpeechBrain's
    ``Fbank``.
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


def audio_blocks(source, sample_rate):
    """Reads audio as consecutive mono blocks ``[S]`` at a given rate.

    Logs a warning if the end of the file is missing. What is no audio file, or
    too short, is a ValueError, see ``AudioTagger``.
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


def mono_waveform(wav, sample_rate, target_rate):
    """Samples in memory as ``[S]`` of float32, see ``AudioTagger.tag``."""
    is_number = isinstance(sample_rate, numbers.Real)
    if not is_number or not audio.MIN_RATE <= sample_rate <= audio.MAX_RATE:
        raise ValueError(
            f"sample_rate={sample_rate!r} must be a number of Hz in "
            f"{audio.MIN_RATE}..{audio.MAX_RATE}."
        )
    if isinstance(wav, torch.Tensor):
        wav = wav.detach().cpu()
        if wav.dtype.itemsize < 4 and wav.is_floating_point():
            wav = wav.float()  # NumPy has no bfloat16
        wav = wav.numpy()
    if not isinstance(wav, np.ndarray):
        raise ValueError(
            "wav must be a NumPy array or a tensor, not a "
            f"{type(wav).__name__}; tag_file takes files."
        )
    wav = _scale(_channels_last(wav))
    if len(wav) < audio.MIN_SECONDS * sample_rate:
        raise ValueError(f"wav is shorter than 25 ms: {len(wav)} samples.")
    wav = wav.mean(axis=1) if wav.shape[1] > 1 else wav[:, 0]
    return audio.resample(wav, sample_rate, target_rate)


def _channels_last(wav):
    """The samples as ``[S, C]``."""
    if wav.size == 0:
        raise ValueError(f"wav is empty: its shape is {wav.shape}.")
    few = [size <= MAX_CHANNELS for size in wav.shape]
    if wav.ndim == 1:
        return wav[:, None]
    if wav.ndim == 2 and sum(few) == 1:
        return wav.T if few[0] else wav
    raise ValueError(
        f"wav has the shape {wav.shape}, but a clip has one to "
        f"{MAX_CHANNELS} channels: pass one waveform, such as wav[0], or "
        "batches to tag_batch."
    )


def _scale(wav):
    """The samples in float32, with full scale 1."""
    kind = wav.dtype.str[1:]  # without the byte order
    if kind in INTEGERS:
        offset, full_scale = INTEGERS[kind]
        return (wav.astype(np.float32) - offset) / full_scale
    if wav.dtype.kind != "f":
        raise ValueError(
            f"wav has the type {wav.dtype}: convert it to floating-point "
            "samples of full scale 1, or to the integers of an audio file."
        )
    peak = max(wav.max(), -wav.min())
    if not np.isfinite(peak):
        raise ValueError("wav has samples that are not finite.")
    if peak > audio.MAX_LEVEL:
        raise ValueError(
            f"wav has samples up to {peak:.3g}, but full scale is 1: divide "
            "them by their full scale, such as 32768."
        )
    return wav.astype(np.float32, copy=False)


def _name(source):
    """What messages call a source: its path, if it has one."""
    if isinstance(source, os.PathLike):
        return str(source)
    name = getattr(source, "name", source)
    return name if isinstance(name, str) else "the audio"


def cut_windows(blocks, grids):
    """Yields the windows of a waveform that arrives in blocks.

    A window is its start and its end, in samples, whether it belongs to each
    of the grids, and its samples ``[S]``. They come in the order of their ends.
    See ``file_windows``.
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
        for end, start in sorted(span[::-1] for span in due):
            members = due[start, end]
            yield start, end, members, held[start - begin : end - begin]
        drop = max(min(kept) - begin, 0)
        held, begin = held[drop:], begin + drop


def file_windows(source, sample_rate, grids, shortest=0, progress=False):
    """Reads an audio file of any length as batches of windows.

    The windows of a grid, a size and a hop in samples, start at 0, ``hop``,
    2 ``hop``, ... (rounded) and have equal lengths: the last one is shifted so
    that it ends with the file. A file shorter than a window is one window. A
    window that belongs to several grids comes only once.

    The source may also be a list of consecutive samples at the sampling rate.
    If it has fewer than ``shortest`` samples, a warning is logged.

    Yields start and end ``[B, 2]`` of up to 16 windows in samples, whether they
    belong to each grid ``[B, G]``, and their samples ``[B, S]``. Windows of a
    grid are in order.
    """
    if isinstance(source, (np.ndarray, torch.Tensor)):
        raise ValueError("An array has no sampling rate: use tag.")
    is_list = isinstance(source, list)
    blocks = source if is_list else audio_blocks(source, sample_rate)
    waiting = {}  # windows by their lengths
    for window in tqdm(
        cut_windows(blocks, grids),
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
        max(math.ceil((samples - size) / hop), 0) + 1
        for size, hop in set(grids)
    )


def _collate(batch):
    """Batches windows of ``cut_windows``, see ``file_windows``."""
    starts, ends, members, samples = zip(*batch)
    spans, members = torch.tensor([starts, ends]).T, torch.tensor(members)
    return spans, members, torch.from_numpy(np.stack(samples))
