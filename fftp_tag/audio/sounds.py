"""Finds the sounds in a clip: where it is not far quieter than where it is loudest.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np

Interval = tuple[float, float]  # start and end in seconds


def find_sounds(
    wav: np.ndarray,
    rate: int,
    frame_seconds: float = 0.02,
    smoothed_frames: int = 3,
    loudest_percentile: float = 99,
    quieter_db: float = 20,
    pause_seconds: float = 0.25,
    min_seconds: float = 0.1,
) -> list[Interval]:
    """Start and end in seconds of each sound in a clip ``[S]``, the longest first.

    A clip of noise, or of a sound that lasts, is one sound; so is one shorter
    than a few frames.

    Arguments
    ---------
    wav : numpy.ndarray
    rate : int
        Sampling rate in Hz.
    frame_seconds, smoothed_frames : float, int
        Levels are means over so many frames.
    loudest_percentile, quieter_db : float
        A sound is at most so much quieter than this percentile of the levels.
    pause_seconds : float
        Shorter pauses belong to a sound.
    min_seconds : float
        Length of a sound, with what is around it.

    Example
    -------
    >>> clip = np.zeros(16000)
    >>> clip[1600:3200] = clip[9600:14400] = 0.1
    >>> [(round(x, 1), round(y, 1)) for x, y in find_sounds(clip, 16000)]
    [(0.6, 0.9), (0.1, 0.2)]
    """
    size, duration = round(frame_seconds * rate), len(wav) / rate
    count = len(wav) // size
    if count < smoothed_frames:
        return [(0.0, duration)]
    frames = wav[: count * size].reshape(count, size).astype(np.float64)
    power = np.square(frames).mean(1)
    power = np.convolve(
        power, np.full(smoothed_frames, 1 / smoothed_frames), "same"
    )
    level = 10 * np.log10(power + 1e-10)
    heard = np.flatnonzero(
        level >= np.percentile(level, loudest_percentile) - quieter_db
    )
    # Where a pause is too long to belong to a sound
    breaks = np.flatnonzero(np.diff(heard) * frame_seconds > pause_seconds) + 1
    sounds = []
    for own in np.split(heard, breaks):
        start, end = (
            float(own[0]) * frame_seconds,
            float(own[-1] + 1) * frame_seconds,
        )
        more = max(min_seconds - (end - start), 0.0) / 2
        sounds.append((max(start - more, 0.0), min(end + more, duration)))
    return sorted(sounds, key=lambda sound: sound[0] - sound[1])
