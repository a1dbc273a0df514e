"""Finds the same recording in different files, by what is heard.

Each frame of a recording has a word of 32 bits: whether the difference of two
neighbouring bands rises or falls. Another cut, level or coding changes few of them
(Haitsma and Kalker: A Highly Robust Audio Fingerprinting System, ISMIR 2002).

Authors
 * The speechbrain_fftp authors 2026
"""

import itertools

import numpy as np

RATE = 16000
WINDOW, HOP = 4096, 256  # samples
BANDS, LOWEST, HIGHEST = 33, 300.0, 6000.0  # Hz
COMMON = 30  # recordings that have a word, above which it tells nothing
FRAMES = 16  # that two recordings share, at least
SHARE = 0.3  # of the shorter one, at least
WRONG_BITS = 0.2  # of what they share; 0.5 by chance


def fingerprint(wav):
    """The words ``[T]`` of samples ``[S]`` at ``RATE``, one each 16 ms."""
    wav = np.pad(wav, (0, max(2 * WINDOW - len(wav), 0)))
    frames = np.lib.stride_tricks.sliding_window_view(wav, WINDOW)[::HOP]
    edges = np.geomspace(LOWEST, HIGHEST, BANDS + 1) * WINDOW / RATE
    window = np.hanning(WINDOW).astype(np.float32)
    words = []
    for part in np.array_split(frames, len(frames) // 1000 + 1):
        power = np.abs(np.fft.rfft(part * window)) ** 2
        bands = np.add.reduceat(power, edges.astype(int), 1)[:, :BANDS]
        words.append(np.log(bands + 1e-9))
    rises = np.diff(np.diff(np.concatenate(words), axis=1), axis=0) > 0
    return np.packbits(rises, axis=1).view(np.uint32).ravel()


def find_same(prints):
    """Yields the numbers ``(a, b)`` of fingerprints of one recording, a < b.

    Arguments
    ---------
    prints : list of numpy.ndarray
        What ``fingerprint`` returns.
    """
    owners = np.repeat(np.arange(len(prints)), [len(x) for x in prints])
    frames = np.concatenate([np.arange(len(x)) for x in prints])
    words = np.concatenate(prints)
    order = np.argsort(words, kind="stable")
    starts = np.flatnonzero(np.diff(words[order])) + 1
    tried, found = set(), set()
    for group in np.split(order, starts):
        if len(group) < 2 or not 1 < len(np.unique(owners[group])) <= COMMON:
            continue
        for one, other in itertools.combinations(group[: 4 * COMMON], 2):
            pair = owners[one], owners[other]
            offset = frames[one] - frames[other]
            if pair[0] == pair[1] or pair in found or (pair, offset) in tried:
                continue
            tried.add((pair, offset))
            if is_same(*(prints[number] for number in pair), offset):
                found.add(pair)
                yield pair


def is_same(one, other, offset):
    """Whether two fingerprints agree, the first from a frame on."""
    shortest = min(len(one), len(other))
    one, other = one[max(offset, 0) :], other[max(-offset, 0) :]
    shared = min(len(one), len(other))
    one, other = one[:shared], other[:shared]
    heard = (one != 0) & (other != 0)  # digital silence is in many recordings
    if heard.sum() < max(FRAMES, SHARE * shortest):
        return False
    wrong = np.bitwise_count((one ^ other)[heard]).mean() / 32
    return wrong <= WRONG_BITS
