"""Which speakers and recording sessions sound in the study's test soundscapes.

The stored predictions name soundscapes only. results/sources.npz has the
sources of those of folds 1 to 6, as FOLD/clips, FOLD/classes and FOLD/sources,
one entry for each sound, and the number of sounds in training and test as
FOLD/sounds: this script wrote it at commit af3641cf, by mixing them again from
the same data and seeds. Its labels are those of the stored predictions
(tests/unit/studies/test_comparison.py).

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
from pathlib import Path

import numpy as np
from scipy import sparse

from studies.comparison import Sources

PATH = Path(__file__).with_name("results") / "sources.npz"


@functools.lru_cache
def read_sources():
    """The arrays of all folds by name, and the names of all sources."""
    with np.load(PATH) as stored:
        arrays = dict(stored)
    names = [arrays[key] for key in arrays if key.endswith("/sources")]
    return arrays, tuple(np.unique(np.concatenate(names)).tolist())


@functools.lru_cache
def shares_of(fold, clips, classes):
    """The matrices of ``Sources`` of the soundscapes of a fold, in their order."""
    arrays, names = read_sources()
    clip, label = arrays[f"{fold}/clips"], arrays[f"{fold}/classes"]
    source = np.searchsorted(names, arrays[f"{fold}/sources"])
    shape = (clips, len(names))
    shares = []
    for index in range(classes):
        has_class = np.isin(np.arange(clips), clip[label == index])
        kept = (label == index) | ~has_class[clip]
        sounds = np.bincount(clip[kept], minlength=clips)
        values = (1 / sounds[clip[kept]]).astype(np.float32)
        entries = (values, (clip[kept], source[kept]))
        shares.append(sparse.csr_matrix(entries, shape=shape))
    return shares


def sources_of(fold, targets):
    """The ``Sources`` of the soundscapes of a fold, ordered by id."""
    return Sources(read_sources()[1], shares_of(fold, *targets.shape))
