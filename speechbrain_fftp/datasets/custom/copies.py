"""Finds copies among custom clips: identical files and similar sounds.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import scipy.fft
import soundfile as sf

from speechbrain_fftp.dataio.files import file_sha256
from speechbrain_fftp.datasets.audioset.lists import CLIP_SECONDS

HOP_SECONDS, HOPS_PER_FRAME = 0.064, 4
NUM_FRAMES = int(CLIP_SECONDS / HOP_SECONDS) - HOPS_PER_FRAME + 1
EDGES = np.geomspace(150, 3600, 25)  # of the bands, in Hz
MIN_LEVEL = 1e-6  # of the loudest band: quieter ones are not compared
MIN_SIMILARITY, MIN_SIGMAS = 0.45, 7.0
BLOCK = 1024


def find_copies(folder, paths):
    """Groups paths in a folder that have the same content."""
    groups = [list(paths)]
    for key in (os.path.getsize, file_sha256):
        found = {}
        for number, group in enumerate(groups):
            for path in group:
                full = os.path.join(folder, path)
                if os.path.isfile(full):
                    found.setdefault((number, key(full)), []).append(path)
        groups = [same for same in found.values() if len(same) > 1]
    return groups


def find_near_copies(split_ids, folder, num_workers=None):
    """Finds clips of different splits that sound the same, such as re-encoded.

    ``split_ids`` maps splits, the largest one last, to the ids of clips in
    ``folder/ID.flac``. Returns dicts, the most similar clips first.
    """

    def read(clip_id):
        path = os.path.join(folder, f"{clip_id}.flac")
        return fingerprint(*sf.read(path, dtype="float32"))

    order = list(split_ids)
    ids, rank = zip(*((i, order.index(s)) for s in order for i in split_ids[s]))
    with ThreadPoolExecutor(num_workers) as pool:
        prints = np.stack(list(pool.map(read, ids)))
    found, rank = [], np.array(rank)
    for i in range(0, sum(rank < rank[-1]), BLOCK):
        for j in range(i, len(ids), BLOCK):
            near = compare(prints[i : i + BLOCK], prints[j : j + BLOCK])
            near *= rank[i : i + BLOCK, None] < rank[None, j : j + BLOCK]
            found += [(near[a, b], i + a, j + b) for a, b in np.argwhere(near)]
    report = []
    for value, a, b in sorted(found, reverse=True):
        names = [order[rank[a]], order[rank[b]]]
        pair = {"ids": [ids[a], ids[b]], "splits": names}
        report.append({**pair, "similarity": round(float(value), 3)})
    return report


def fingerprint(samples, sample_rate):
    """Signs of changes of the spectrum in 10 s, int8 ``[frames, bands]``.

    They tell whether the level of a band rises or falls from frame to frame, as
    compared with the next band, and are zero where it is quiet (Haitsma and
    Kalker, "A Highly Robust Audio Fingerprinting System", 2002).
    """
    hop = round(HOP_SECONDS * sample_rate)
    size = HOPS_PER_FRAME * hop
    signs = np.zeros((NUM_FRAMES - 1, len(EDGES) - 2), np.int8)
    if len(samples) < size + hop:  # less than two frames
        return signs
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop]
    window = np.hanning(size).astype(np.float32)
    edges = np.round(EDGES * size / sample_rate).astype(int)
    # [frames, bins up to the last edge] -> [frames, bands]
    power = scipy.fft.rfft(frames[:NUM_FRAMES] * window)[:, : edges[-1] + 1]
    power = power.real**2 + power.imag**2
    power = np.add.reduceat(power, edges, axis=1)[:, :-1]
    floor = max(MIN_LEVEL * power.max(), 1e-9)
    change = np.diff(np.log(np.maximum(power, floor)), axis=1)
    loud = power > floor
    loud = loud[1:] & loud[:-1]
    loud = loud[:, 1:] & loud[:, :-1]
    signs[: len(loud)] = loud * np.sign(np.diff(change, axis=0))
    return signs


def compare(prints, others):
    """Similarities ``[A, B]`` of fingerprints, zero where they can be chance.

    A frame earlier or later counts as well. The mean product of independent
    signs has a standard deviation of one over the root of their number.
    """
    others = others.reshape(len(others), -1).astype(np.float32)
    # [A, frames, bands] -> [3, A, frames * bands] -> [A, B]
    shifted = np.stack([np.roll(prints, shift, 1) for shift in (-1, 0, 1)])
    shifted = shifted.reshape(3, len(prints), -1).astype(np.float32)
    near = (shifted @ others.T).max(0)
    sizes = np.abs(shifted[1]).sum(1)[:, None], np.abs(others).sum(1)[None]
    near /= np.sqrt(np.maximum(sizes[0] * sizes[1], 1))
    limit = MIN_SIGMAS / np.sqrt(np.maximum(np.minimum(*sizes), 1))
    return np.where(near < np.maximum(limit, MIN_SIMILARITY), 0, near)
