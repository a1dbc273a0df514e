"""Finds the sounds in a clip: where it is not far quieter than where it is loudest.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np

Interval = tuple[float, float]  # start and end in seconds

FRAME = 0.02  # seconds
SMOOTHED = 3  # frames
LOUDEST = 99  # percentile of the frames' levels
QUIETER_DB = 20  # than that, at most
PAUSE = 0.25  # seconds: shorter ones belong to a sound
SHORTEST = 0.1  # seconds of a sound, with what is around it
TINY = 1e-10  # instead of a power of 0


def find_sounds(wav: np.ndarray, rate: int) -> list[Interval]:
    """Start and end in seconds of each sound in a clip ``[S]``, the longest first.

    A clip of noise, or of a sound that lasts, is one sound; so is one shorter
    than a frame.

    Example
    -------
    >>> clip = np.zeros(16000)
    >>> clip[1600:3200] = clip[9600:14400] = 0.1
    >>> [(round(x, 1), round(y, 1)) for x, y in find_sounds(clip, 16000)]
    [(0.6, 0.9), (0.1, 0.2)]
    """
    size, duration = round(FRAME * rate), len(wav) / rate
    count = len(wav) // size
    if count < SMOOTHED:
        return [(0.0, duration)]
    frames = wav[: count * size].reshape(count, size).astype(np.float64)
    power = np.square(frames).mean(1)
    power = np.convolve(power, np.full(SMOOTHED, 1 / SMOOTHED), "same")
    level = 10 * np.log10(power + TINY)
    heard = np.flatnonzero(level >= np.percentile(level, LOUDEST) - QUIETER_DB)
    # Where a pause is too long to belong to a sound
    breaks = np.flatnonzero(np.diff(heard) * FRAME > PAUSE) + 1
    sounds = []
    for own in np.split(heard, breaks):
        start, end = float(own[0]) * FRAME, float(own[-1] + 1) * FRAME
        more = max(SHORTEST - (end - start), 0.0) / 2
        sounds.append((max(start - more, 0.0), min(end + more, duration)))
    return sorted(sounds, key=lambda sound: sound[0] - sound[1])
