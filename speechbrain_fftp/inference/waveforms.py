"""Arrays and tensors of samples as mono waveforms at a model's rate.

Authors
 * The speechbrain_fftp authors 2026
"""

import numbers

import numpy as np
import torch

from speechbrain_fftp.dataio import audio

MAX_CHANNELS = 8  # of a 2-D array
# Offset and full scale of the integers that audio files hold
INTEGERS = {"u1": (128, 2**7), "i1": (0, 2**7), "i2": (0, 2**15)}
INTEGERS["i4"] = (0, 2**31)


def mono_waveform(wav, sample_rate, target_rate):
    """Checks samples, averages their channels and resamples them.

    Arguments
    ---------
    wav : numpy.ndarray or torch.Tensor
        Samples ``[S]``, or ``[S, C]`` or ``[C, S]`` with up to 8 channels:
        floating-point numbers of full scale 1, or integers of 8 (unsigned ones
        as in WAV files, with silence at 128), 16 or 32 bits. Not modified.
    sample_rate, target_rate : float, int
        Their sampling rate and the one to change to, in Hz.

    Returns
    -------
    numpy.ndarray
        Mono waveform ``[S]``, float32.

    Raises
    ------
    ValueError
        If there are no samples or less than 25 ms, if their type, their shape
        or the rate is not as above, or if a sample is not finite or more than
        100 times full scale.

    Example
    -------
    >>> wav = np.full((2, 8000), 2**14, np.int16)
    >>> mono = mono_waveform(wav, 8000, 16000)
    >>> mono.shape, round(float(mono[8000]), 3)
    ((16000,), 0.5)
    """
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
        f"wav has the shape {wav.shape}, which is no clip of one to "
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
