"""Windows of audio files of any length, in constant memory.

Authors
 * The speechbrain_fftp authors 2026
"""

import os

import numpy as np
import torch
from tqdm import tqdm

from speechbrain_fftp.dataio.audio import (
    mono_blocks,
    open_audio,
    resampled_blocks,
)

# Windows that go through the model at a time.
BATCH_WINDOWS = 16


def audio_blocks(path, sample_rate):
    """Reads a file as consecutive blocks of mono samples at some rate.

    Arguments
    ---------
    path : str
        The audio file.
    sample_rate : int
        The wanted sampling rate, in Hz.

    Yields
    ------
    numpy.ndarray
        The next samples ``[S]``, float32.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be read as audio, holds no sample, or holds samples that
        are not finite.

    Example
    -------
    >>> import soundfile as sf
    >>> path = str(getfixture("tmpdir") / "a.wav")
    >>> sf.write(path, np.zeros((96000, 2)), 48000)
    >>> sum(len(block) for block in audio_blocks(path, 16000))
    32000
    """
    os.stat(path)  # a missing file has its own error
    count = 0
    try:
        with open_audio(str(path)) as file:
            blocks = mono_blocks(file)
            rate = file.samplerate
            for block in resampled_blocks(blocks, rate, sample_rate):
                count += len(block)
                yield block
    except ValueError as error:
        raise ValueError(f"{path} is not readable audio: {error}")
    if count == 0:
        raise ValueError(f"{path} holds no audio: it has no samples.")


def cut_windows(blocks, size, hop, shortest=1, edges=False):
    """Cuts a waveform that comes in blocks into windows.

    Windows start every ``hop`` samples from the first one on. The last may be
    shorter, as may the only one of a short waveform. With ``edges``, those
    windows come before and after these that reach beyond the waveform, cut
    off at its ends.

    Arguments
    ---------
    blocks : iterable of numpy.ndarray
        Consecutive samples ``[S]``.
    size : int
        Samples of a window.
    hop : float
        Samples from one start to the next; starts are rounded.
    shortest : int
        Windows cut off at an end are left out if they have fewer samples,
        unless there is no other.
    edges : bool
        Whether windows may reach beyond the waveform.

    Yields
    ------
    centre : float
        The window's centre, in samples; with ``edges``, of the whole window.
    end : int
        Where its samples end.
    samples : numpy.ndarray
        The window's samples.

    Example
    -------
    >>> blocks = [np.arange(4), np.arange(4, 7)]
    >>> for centre, end, samples in cut_windows(blocks, size=4, hop=2):
    ...     print(centre, end, samples)
    2.0 4 [0 1 2 3]
    4.0 6 [2 3 4 5]
    5.5 7 [4 5 6]
    >>> [x[0] for x in cut_windows(blocks, 4, 2, shortest=2, edges=True)]
    [0.0, 2.0, 4.0, 6.0]
    """
    first = number = -int((size - shortest) // hop) if edges else 0
    held, begin = np.zeros(0, np.float32), 0  # and where that begins
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
    if number > first and not edges:
        if round((number - 1) * hop) + size >= total:
            return
    while True:
        start = round(number * hop)
        samples = held[max(start - begin, 0) :]
        if len(samples) < shortest and number > first:
            return
        centre = start + size / 2 if edges else (start + total) / 2
        yield centre, total, samples
        number += 1
        if not edges:
            return


def file_windows(
    path, sample_rate, size, hop, shortest=1, edges=False, progress=False
):
    """Batches of the windows of an audio file of any length.

    Arguments
    ---------
    path : str
        The audio file.
    sample_rate : int
        Sampling rate of the windows, in Hz.
    size : int
        Samples of a window.
    hop : float
        Samples from one start to the next.
    shortest : int
        See ``cut_windows``.
    edges : bool
        See ``cut_windows``.
    progress : bool
        Whether to show a progress bar.

    Yields
    ------
    centres : list of float
        The windows' centres, in seconds.
    end : float
        Where the last one ends, in seconds.
    wavs : torch.Tensor
        Up to 16 windows, ``[B, S]``.
    wav_lens : torch.Tensor
        Their lengths ``[B]`` relative to S.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be read as audio, holds no sample, or holds samples that
        are not finite.

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
    windows = cut_windows(blocks, size, hop, shortest, edges)
    total = None
    if progress:
        total = _claimed_windows(path, sample_rate, size, hop, edges)
    with tqdm(
        total=total,
        desc=os.path.basename(str(path)),
        unit="window",
        leave=False,
        disable=not progress,
    ) as bar:
        batch = []
        for window in windows:
            batch.append(window)
            if len(batch) == BATCH_WINDOWS:
                yield _collate(batch, sample_rate)
                bar.update(len(batch))
                batch = []
        if batch:
            yield _collate(batch, sample_rate)
            bar.update(len(batch))


def _claimed_windows(path, sample_rate, size, hop, edges):
    """How many windows there are by the header, None if it is unreadable."""
    try:
        with open_audio(str(path)) as file:
            samples = file.frames / file.samplerate * sample_rate
    except (OSError, ValueError):
        return None
    return max(1, int((samples if edges else samples - size) / hop) + 1)


def _collate(batch, sample_rate):
    """A batch of windows of ``cut_windows``, see ``file_windows``."""
    centres, ends, samples = zip(*batch)
    parts = [torch.from_numpy(np.ascontiguousarray(x)) for x in samples]
    wavs = torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)
    wav_lens = torch.tensor([len(part) / wavs.shape[1] for part in parts])
    centres = [centre / sample_rate for centre in centres]
    return centres, ends[-1] / sample_rate, wavs, wav_lens
