"""Which speakers and recording sessions sound in the study's test soundscapes.

The stored predictions name soundscapes only. Mixing them again, from the same
data and seeds, gives the sources of each: this writes them for folds 1 to 6 to
studies/results/sources.npz, as FOLD/clips, FOLD/classes and FOLD/sources,
one entry for each sound, and the number of sounds in training and test as
FOLD/sounds. The labels that it finds are those of the stored predictions
(tests/unit/studies/test_tables.py).

> python studies/sources.py DATA/speech_commands DATA/audioset_mini

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import functools
import sys
from pathlib import Path

import numpy as np
from scipy import sparse

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from speechbrain_fftp.dataio.files import atomic_path
from studies.comparison import Sources
from studies.folds import SEARCH, audioset_clips, speech_commands_clips

PATH = Path(__file__).with_name("results") / "sources.npz"


@functools.lru_cache
def read_sources(path):
    """The arrays of all folds by name, and the names of all sources."""
    with np.load(path) as stored:
        arrays = dict(stored)
    names = [arrays[key] for key in arrays if key.endswith("/sources")]
    return arrays, tuple(np.unique(np.concatenate(names)).tolist())


@functools.lru_cache
def shares_of(path, fold, clips, classes):
    """The matrices of ``Sources`` of the soundscapes of a fold, in their order."""
    arrays, names = read_sources(path)
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


def sources_of(path, fold, targets):
    """The ``Sources`` of the soundscapes of a fold, ordered by id.

    ``path`` is a file like sources.npz.
    """
    return Sources(read_sources(path)[1], shares_of(path, fold, *targets.shape))


def add_sources(path, fold, found):
    """Adds the sources of a fold, which soundscapes.py wrote to ``found``."""
    arrays = {}
    if path.exists():
        with np.load(path) as stored:
            arrays.update(stored)
    if f"{fold}/clips" not in arrays:
        with np.load(found) as stored:
            arrays.update((f"{fold}/{name}", stored[name]) for name in stored)
        with atomic_path(path) as temporary:
            with open(temporary, "wb") as file:
                np.savez_compressed(file, **arrays)


def find_sources(words, instruments):
    """Mixes the test soundscapes of all folds; returns their sources."""
    from studies import soundscapes

    groups = {clip.name: clip.group for clip in speech_commands_clips(words)}
    sessions = {c.name: c.group for c in audioset_clips(instruments)}

    def source(path):
        name = f"{path.parent.name}/{path.name}"
        if name in groups:
            return groups[name]
        return next(sessions[x] for x in sessions if x in path.stem)

    noises = soundscapes.read_noises(words)
    folds = soundscapes.fold_sounds(words, instruments, partitions=2)
    arrays = {}
    for number, (fold, found) in enumerate(folds.items()):
        if fold == SEARCH:
            continue
        labels = sorted({label for part in found.values() for label in part})
        rng = np.random.default_rng(soundscapes.seed_of(0, number, "eval"))
        sounds = []
        for clip in range(soundscapes.SIZES["eval"]):
            noise, used = noises[rng.integers(len(noises))], []
            soundscapes.mix(rng, found["eval"], noise, used)
            sounds += (
                (clip, labels.index(label), source(path))
                for label, path in used
            )
        for name, column in zip(("clips", "classes", "sources"), zip(*sounds)):
            arrays[f"{fold}/{name}"] = np.array(column)
        arrays[f"{fold}/sounds"] = np.array(
            [sum(map(len, found[x].values())) for x in ("train", "eval")]
        )
    return arrays


def main():
    """Writes the sources of all folds."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    for name in ("words", "instruments"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    np.savez_compressed(PATH, **find_sources(args.words, args.instruments))


if __name__ == "__main__":
    main()
