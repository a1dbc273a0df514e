"""Windows of audio files of any length, in constant memory.

Authors
 * The speechbrain_fftp authors 2026
"""

import itertools
import os

import numpy as np
import torch
from tqdm import tqdm

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.audio import (
    FFMPEG_EXTENSIONS,
    MIN_SECONDS,
    mono_blocks,
    open_audio,
    resampled_blocks,
)

logger = get_logger(__name__)

BATCH_WINDOWS = 16  # windows that are passed to the model at a time


def frame_size(compute_features):
    """Window, shift and margin of a front end's frames, in samples.

    Read from ``window`` and ``shift``, as of ``KaldiFbank``, or else from
    ``compute_STFT``, as of SpeechBrain's ``Fbank`` and ``MFCC``.

    Arguments
    ---------
    compute_features : torch.nn.Module
        The front end.

    Returns
    -------
    window : int
        Samples of one frame.
    shift : int
        Samples from the start of one frame to the start of the next.
    margin : int
        Samples by which the first and the last frame together reach beyond the
        clip: ``window`` if the frames are centred, as of ``Fbank``, else 0.

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
        return compute_features.window, compute_features.shift, 0
    except AttributeError as error:
        raise ValueError(
            f"The frames of {type(compute_features).__name__} are unknown: "
            "give compute_features the attributes window and shift, in samples."
        ) from error


def source_name(source):
    """Returns what messages call a source of audio.

    Arguments
    ---------
    source : str, bytes or file
        Path, content, or a binary file object.

    Returns
    -------
    str
        The path, or that of the file object if it has one.

    Example
    -------
    >>> source_name("a.wav"), source_name(b"RIFF...")
    ('a.wav', 'the audio')
    """
    if isinstance(source, os.PathLike):
        return str(source)
    name = getattr(source, "name", source)
    return name if isinstance(name, str) else "the audio"


def audio_blocks(source, sample_rate):
    """Reads audio as consecutive blocks of mono samples at a given rate.

    Logs a warning if the end of the file is missing.

    Arguments
    ---------
    source : str, bytes or file
        Path, content, or a binary file object.
    sample_rate : int
        Sampling rate of the blocks in Hz.

    Yields
    ------
    numpy.ndarray
        The next samples ``[S]``, float32.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be read as audio, is shorter than 25 ms, or has samples
        that are not finite or far beyond full scale.

    Example
    -------
    >>> import soundfile as sf
    >>> path = str(getfixture("tmpdir") / "a.wav")
    >>> sf.write(path, np.zeros((96000, 2)), 48000)
    >>> sum(len(block) for block in audio_blocks(path, 16000))
    32000
    """
    name = source_name(source)
    if isinstance(source, (str, os.PathLike)):
        os.stat(source)  # raises FileNotFoundError

    try:
        with open_audio(source) as file:
            rate = file.samplerate
            yield from resampled_blocks(mono_blocks(file), rate, sample_rate)
            if missing := file.missing_part():
                logger.warning("%s is truncated: read %s", name, missing)
    except ValueError as error:
        raise ValueError(f"{name} is not readable audio: {error}") from error
    if file.found == 0:
        raise ValueError(f"{name} holds no audio: it has no samples.")
    if file.found < MIN_SECONDS * rate:
        raise ValueError(f"{name} is shorter than 25 ms: {file.found} samples.")


def _cut_windows(blocks, size, hop, shortest, edges):
    """Yields the windows of a waveform that arrives in blocks.

    A window is its centre and its end, in samples, and its samples ``[S]``;
    other arguments as in ``file_windows``, in samples. The centre is that of
    the whole window with ``edges``, else of its part within the waveform.
    """
    first = number = -int((size - shortest) // hop) if edges else 0
    held, begin = np.zeros(0, np.float32), 0  # samples kept, and their start
    for block in blocks:
        held = np.concatenate([held, block]) if len(held) else block
        total = begin + len(held)
        while round(number * hop) + size <= total:
            start = round(number * hop)
            samples = held[max(start, 0) - begin : start + size - begin]
            yield start + size / 2, start + size, samples
            number += 1
        drop = min(max(round(number * hop) - begin, 0), len(held))
        held, begin = held[drop:], begin + drop
    total = begin + len(held)
    # Windows that reach beyond the end; without edges at most one
    while number == first or edges or round((number - 1) * hop) + size < total:
        start = round(number * hop)
        samples = held[max(start - begin, 0) :]
        if len(samples) < shortest and number > first:
            return
        centre = start + size / 2 if edges else (start + total) / 2
        yield centre, total, samples
        number += 1


def file_windows(
    path, sample_rate, size, hop, shortest=1, edges=False, progress=False
):
    """Reads an audio file of any length as batches of windows.

    Windows start at 0, ``hop``, 2 ``hop``, ... The last one may be shorter, as
    may the only one of a short file. With ``edges``, there are windows before
    and after these that overlap the file partly, cut off at its ends.

    Arguments
    ---------
    path : str
        The audio file.
    sample_rate : int
        Sampling rate of the windows in Hz.
    size : int
        Samples of a window.
    hop : float
        Samples from one start to the next; starts are rounded.
    shortest : int
        Windows with fewer samples are dropped, unless there is no other.
    edges : bool
        Whether windows may reach beyond the file.
    progress : bool
        Whether to show a progress bar.

    Yields
    ------
    centres : list of float
        Centres of the windows in seconds.
    end : float
        End of the last window in seconds.
    wavs : torch.Tensor
        Up to 16 windows, ``[B, S]``.
    wav_lens : torch.Tensor
        Their lengths ``[B]`` relative to S.

    Example
    -------
    >>> import soundfile as sf
    >>> path = str(getfixture("tmpdir") / "a.wav")
    >>> sf.write(path, np.zeros(8000 * 20), 8000)
    >>> for centres, end, wavs, wav_lens in file_windows(
    ...     path, 8000, 8000, 8000
    ... ):
    ...     print(centres[0], end, wavs.shape)
    0.5 16.0 torch.Size([16, 8000])
    16.5 20.0 torch.Size([4, 8000])
    """
    blocks = audio_blocks(path, sample_rate)
    windows = _cut_windows(blocks, size, hop, shortest, edges)
    total = None
    if progress:
        total = _claimed_windows(path, sample_rate, size, hop, edges)
    with tqdm(
        total=total,
        desc=os.path.basename(source_name(path)),
        unit="window",
        leave=False,
        disable=not progress,
    ) as bar:
        while batch := list(itertools.islice(windows, BATCH_WINDOWS)):
            yield _collate(batch, sample_rate)
            bar.update(len(batch))


def _claimed_windows(path, sample_rate, size, hop, edges):
    """Number of windows by the header; None if that is not quickly read."""
    name = str(path).lower()
    if hasattr(path, "read") or name.endswith(FFMPEG_EXTENSIONS):
        return None
    try:
        with open_audio(path) as file:
            samples = file.frames / file.samplerate * sample_rate
    except (OSError, ValueError):
        return None
    return max(1, int((samples if edges else samples - size) / hop) + 1)


def _collate(batch, sample_rate):
    """Batches windows of ``_cut_windows``, see ``file_windows``."""
    centres, ends, samples = zip(*batch)
    parts = [torch.from_numpy(np.ascontiguousarray(x)) for x in samples]
    wavs = torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)
    wav_lens = torch.tensor([len(part) / wavs.shape[1] for part in parts])
    centres = [centre / sample_rate for centre in centres]
    return centres, ends[-1] / sample_rate, wavs, wav_lens
