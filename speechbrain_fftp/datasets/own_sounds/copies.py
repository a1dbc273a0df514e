"""Finds copies among custom clips: identical files and similar sounds.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import scipy.fft
import soundfile as sf

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.files import file_sha256
from speechbrain_fftp.datasets.audioset.lists import CLIP_SECONDS

logger = get_logger(__name__)

HOP_SECONDS, HOPS_PER_FRAME = 0.064, 4
EDGES = np.geomspace(150, 3600, 33)  # of the bands, Hz: telephone quality
MIN_LEVEL = 1e-6  # of the loudest band: quieter ones are not compared
MIN_SIMILARITY, MIN_SIGMAS = 0.45, 7.0
BLOCK = 1024


def find_copies(folder, paths):
    """Groups files with the same content; returns lists of two or more paths.

    The paths are relative to the folder. Only files with the same size and the
    same bytes in the middle are read as a whole.
    """
    groups = [list(paths)]
    for key in (os.path.getsize, _middle, file_sha256):
        groups = [s for group in groups for s in _group(folder, group, key)]
    return groups


def _group(folder, paths, key):
    """Groups of two or more paths with the same key."""
    groups = {}
    for path in paths:
        try:
            content = key(os.path.join(folder, path))
            groups.setdefault(content, []).append(path)
        except OSError:  # missing, a folder or not readable
            continue
    return [same for same in groups.values() if len(same) > 1]


def _middle(path):
    """4 kB from the middle of a file."""
    with open(path, "rb") as file:
        file.seek(os.path.getsize(path) // 2)
        return file.read(4096)


def fingerprint(samples, sample_rate):
    """Signs of changes of the spectrum, int8 ``[frames, bands]``.

    They tell whether the level of a band rises or falls from frame to frame, as
    compared with the next band, and are zero where it is quiet (Haitsma and
    Kalker, "A Highly Robust Audio Fingerprinting System", 2002). Neither gain
    nor a steady spectrum matters. Clips are padded to ten seconds.
    """
    hop = round(HOP_SECONDS * sample_rate)
    size = HOPS_PER_FRAME * hop
    num_frames = round(CLIP_SECONDS / HOP_SECONDS) - HOPS_PER_FRAME
    rest = (num_frames - 1) * hop + size - len(samples)
    samples = np.pad(samples, (0, max(0, rest))).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop]
    window = np.hanning(size).astype(np.float32)
    # [frames, size / 2 + 1] -> [frames, bands]
    power = np.abs(scipy.fft.rfft(frames[:num_frames] * window)) ** 2
    edges = np.round(EDGES * size / sample_rate).astype(int)
    power = np.add.reduceat(power, edges, axis=1)[:, :-1]
    floor = max(MIN_LEVEL * power.max(), 1e-9)
    levels = np.log(np.maximum(power, floor))
    change = np.diff(np.diff(levels, axis=1), axis=0)
    loud = power > floor
    loud = loud[1:] & loud[:-1]
    return np.where(loud[:, 1:] & loud[:, :-1], np.sign(change), 0).astype("i1")


def find_near_copies(split_ids, folder, num_workers=None):
    """Finds clips of different splits that sound the same, such as re-encoded.

    ``split_ids`` maps splits to the ids of clips in ``folder/ID.flac``. Returns
    dicts with ids, splits and similarity, at most 1, the most similar first.
    """

    def read(clip_id):
        """Computes the fingerprint of a clip."""
        path = os.path.join(folder, f"{clip_id}.flac")
        return fingerprint(*sf.read(path, dtype="float32"))

    clips = [(split, i) for split, ids in split_ids.items() for i in ids]
    with ThreadPoolExecutor(num_workers) as pool:
        prints = np.stack(list(pool.map(read, (i for _, i in clips))))
    splits = np.array([split for split, _ in clips])
    found = []
    for split in list(split_ids)[:-1]:
        rows, others = np.flatnonzero(splits == split), splits != split
        others[: rows[0]] = False  # compared already
        others = np.flatnonzero(others)
        for i in range(0, len(rows), BLOCK):
            for j in range(0, len(others), BLOCK):
                pair = rows[i : i + BLOCK], others[j : j + BLOCK]
                likeness = _compare(*(prints[part] for part in pair))
                for a, b in zip(*likeness.nonzero()):
                    found.append((likeness[a, b], pair[0][a], pair[1][b]))
    report = [
        {
            "ids": [clips[k][1] for k in pair],
            "splits": [clips[k][0] for k in pair],
            "similarity": round(float(value), 3),
        }
        for value, *pair in sorted(found, reverse=True)
    ]
    if report:
        names = [" and ".join(pair["ids"]) for pair in report[:3]]
        logger.warning(
            "%d pairs of clips in different splits sound the same: %s%s. If they"
            " are copies, remove some, or give them one group in clips.csv",
            len(report),
            "; ".join(names),
            "; ..." * (len(report) > 3),
        )
    return report


def _compare(prints, others):
    """Similarities ``[A, B]`` of fingerprints, zero where they can be chance.

    A frame earlier or later counts as well. The mean product of independent
    signs has a standard deviation of one over the root of their number.
    """
    others = others.reshape(len(others), -1).astype(np.float32)
    # [A, frames, bands] -> [3, A, frames * bands] -> [A, B]
    shifted = np.stack([np.roll(prints, shift, 1) for shift in (-1, 0, 1)])
    shifted = shifted.reshape(*shifted.shape[:2], -1).astype(np.float32)
    likeness = (shifted @ others.T).max(0)
    sizes = np.abs(shifted[1]).sum(1)[:, None], np.abs(others).sum(1)[None]
    likeness /= np.sqrt(np.maximum(sizes[0] * sizes[1], 1))
    limit = MIN_SIGMAS / np.sqrt(np.maximum(np.minimum(*sizes), 1))
    return np.where(likeness >= np.maximum(limit, MIN_SIMILARITY), likeness, 0)
