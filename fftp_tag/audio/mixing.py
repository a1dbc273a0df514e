"""Places sounds in mixtures, at a speed and a level.

The copies that ``learn`` learns from and the clips that the starter is trained
on are such mixtures.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np

TINY = 1e-6  # instead of a level of 0


def from_decibels(level: float) -> float:
    """Converts a level in dB to a factor of amplitudes."""
    return 10 ** (level / 20)


def change_speed(wav: np.ndarray, speed: float, rate: int) -> np.ndarray:
    """A sound ``[S]`` at another speed, which changes its pitch as well."""
    import soxr

    return soxr.resample(wav, rate * speed, rate).astype(np.float32)


def add_sound(
    mixture: np.ndarray,
    wav: np.ndarray,
    start: int,
    level: float | None = None,
    fade: int = 0,
) -> None:
    """Adds a sound ``[S]`` to a mixture, in place, from a sample on.

    Arguments
    ---------
    mixture, wav : numpy.ndarray
        Samples; of the sound, what is beyond the mixture's end is cut.
    start : int
        The first sample in the mixture.
    level : float, optional
        The standard deviation of the sound there; by default, its own.
    fade : int
        Number of samples at either end, over which it is faded.

    Example
    -------
    >>> mixture = np.zeros(6)
    >>> add_sound(mixture, np.ones(5), 1, fade=3)
    >>> mixture
    array([0. , 0. , 0.5, 1. , 0.5, 0. ])
    """
    wav = wav[: len(mixture) - start]
    if level is not None:
        wav = wav * (level / max(wav.std(), TINY))
    if fade:
        ends = np.minimum(np.arange(len(wav)), np.arange(len(wav))[::-1])
        wav = wav * np.clip(ends / (fade - 1), 0, 1)
    mixture[start : start + len(wav)] += wav


def coloured_noise(
    rng: np.random.Generator, size: int, rate: int, exponent: float
) -> np.ndarray:
    """Noise ``[size]`` with power ~ 1 / f ** exponent and unit variance."""
    spectrum = np.fft.rfft(rng.standard_normal(size))
    frequency = np.fft.rfftfreq(size, 1 / rate)
    spectrum *= np.maximum(frequency, 20) ** (-exponent / 2)
    noise = np.fft.irfft(spectrum, size)
    return noise / noise.std()
