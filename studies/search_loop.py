"""Compares ways to find the clips of a class in an archive, by listening to 40.

In each draw, an archive of 800 clips has 25 of a class, and one clip of it from
another speaker or recording session is the example. Instruments (the first 4 s)
are among the other instruments and words; words of one second among other
words. There is a draw of each of the ten instruments and ten words. Ways:

* **embeddings**: the nearest pooled embeddings; lists 20 clips, and 20 more
  that are similar to any of those that were right;
* **features**: the same with ``index`` and ``find``, by the mean of those that
  were right;
* **features, every 5**: ``find`` again after every five answers;
* **learn, every 5**: ``find`` lists the first five; then a class is learnt from
  the example and what was right, with what was wrong as background, and ranks
  the next five, until 40.

Written after a look at other draws of the same clips, with which the shrinkage
of ``find`` was chosen. Intervals (95 %) are Student's t over draws. Writes
studies/results/tables/search_loop.json.

> python studies/search_loop.py DATA MODEL  # for DATA see docs/data.md

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import contextlib
import logging
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from fftp_tag import AudioTagger, learn
from fftp_tag.search.index import SoundIndex, update_index
from fftp_tag.tag.model import Model
from speechbrain_fftp.dataio.errors import InputError
from studies import soundscapes
from studies.tables import mean_of, write_tables

SIZE, TARGETS, LISTENED = 800, 25, 40
SECONDS = {"instruments": 4.0, "words": 1.0}
N_WORDS = 90  # clips of each word
# How a way ranks clips, and how many are heard before they are ranked again
EMBEDDINGS, FEATURES, LEARN = "embeddings", "features", "learn"
WAYS = {
    "embeddings": (EMBEDDINGS, 20),
    "features": (FEATURES, 20),
    "features, every 5": (FEATURES, 5),
    "learn, every 5": (LEARN, 5),
}
NOTE = (
    f"How many of {TARGETS} clips of a class in an archive of {SIZE} are "
    f"among the {LISTENED} that are listened to."
)


class Draw(NamedTuple):
    """An example, and the clips of an archive."""

    example: int
    archive: np.ndarray


class Clips:
    """Clips of both kinds with an index of a kind's window."""

    def __init__(self, sounds, folder, tagger, seconds):
        self.tagger = tagger
        self.paths = [folder / f"{n:04d}.wav" for n in range(len(sounds))]
        self.labels = np.array([sound.label for sound in sounds])
        self.groups = np.array([sound.group for sound in sounds])
        self.is_word = np.array([x.path.parent.name != "audio" for x in sounds])
        folder.mkdir()
        size = round(seconds * soundscapes.RATE)
        for path, sound in zip(self.paths, sounds):
            wav = soundscapes.read(sound.path)[:size]
            soundfile.write(path, wav, soundscapes.RATE)
        path = folder / "index"
        update_index(path, tagger, folder, seconds, num_workers=1)
        self.index = SoundIndex.load(path)
        parts = {part.path: part for part in self.index.parts}
        self.parts = [parts[path.name] for path in self.paths]
        # Silent clips have no window
        silence = np.zeros((1, self.parts[0].rows.shape[1]))
        self.features = np.stack(
            [np.concatenate([part.rows, silence])[0] for part in self.parts]
        )
        embeddings = [tagger.embed_file(path) for path in self.paths]
        self.embeddings = unit(np.stack(embeddings))

    def rank(self, way, archive, right, wrong, scratch):
        """Clips of an archive, the most similar to those that were right first."""
        if way == EMBEDDINGS:
            rows = self.embeddings[archive]
            mean, std = rows.mean(0), rows.std(0)
            examples = unit((self.embeddings[right] - mean) / std)
            scores = (unit((rows - mean) / std) @ examples.T).max(1)
            return archive[np.argsort(-scores)]
        parts = [self.parts[number] for number in archive]
        index = SoundIndex.make(self.index.settings, parts)
        found = None
        if way == LEARN and wrong:
            with contextlib.suppress(InputError):  # far shorter clips
                model = self.learn(right, wrong, scratch)
                # Clips that were learnt from are left out
                found = index.find_classes(model, SIZE)
        if found is None:
            found = index.find(self.features[right], SIZE)
        return list(dict.fromkeys(int(Path(x.file).stem) for x in found))

    def learn(self, right, wrong, scratch):
        """A model that has learnt the class from clips, with background."""
        folder, output = scratch / "sounds", scratch / "my.onnx"
        for name, numbers in (("class", right), ("background", wrong)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            for number in numbers:
                link = folder / name / self.paths[number].name
                if not link.is_symlink():
                    link.symlink_to(self.paths[number])
        learn(self.tagger, folder, output, num_workers=1)
        return Model(output, threads=1)

    def of_kind(self, kind):
        """The numbers of clips of a kind."""
        return np.flatnonzero(self.is_word == (kind == "words"))


def unit(rows):
    """Scales vectors to unit length."""
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def count_found(name, clips, draw):
    """How many of the clips that were listened to are of the class."""
    way, count = WAYS[name]
    label = clips.labels[draw.example]
    right, wrong = [draw.example], []
    with tempfile.TemporaryDirectory() as scratch:
        while len(right) + len(wrong) <= LISTENED:
            ranked = clips.rank(way, draw.archive, right, wrong, Path(scratch))
            heard = {*right, *wrong}
            for number in [n for n in ranked if n not in heard][:count]:
                is_right = clips.labels[number] == label
                (right if is_right else wrong).append(number)
    return len(right) - 1


def draw_archive(clips, kind, label, rng):
    """An example of a class, and an archive without its speaker or session."""
    numbers = clips.of_kind(kind)
    own = numbers[clips.labels[numbers] == label]
    counts = {n: np.sum(clips.groups[own] == clips.groups[n]) for n in own}
    example = rng.choice([n for n in own if len(own) - counts[n] >= TARGETS])
    others = own[clips.groups[own] != clips.groups[example]]
    chosen = [rng.choice(others, TARGETS, replace=False)]
    rest = np.setdiff1d(numbers, own)
    rng.shuffle(rest)
    chosen.append(rest[: SIZE - TARGETS])
    words = np.setdiff1d(np.arange(len(clips.labels)), numbers)
    missing = SIZE - sum(map(len, chosen))
    chosen.append(rng.choice(words, missing, replace=False))
    return Draw(int(example), np.concatenate(chosen))


def found_row(clips, kind, labels, rng):
    """The row of what is found in the archives of a kind."""
    draws = [draw_archive(clips, kind, label, rng) for label in labels]
    counts = {
        name: np.array([count_found(name, clips, draw) for draw in draws])
        for name in WAYS
    }
    learnt, embeddings = counts["learn, every 5"], counts["embeddings"]
    return {
        "clips": kind,
        "draws": len(draws),
        **{name: mean_of(each) for name, each in counts.items()},
        "learn - embeddings": mean_of(learnt - embeddings),
        "found": {name: each.tolist() for name, each in counts.items()},
    }


def main():
    """Runs the draws and writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("model")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    rng = np.random.default_rng(args.seed)
    words = soundscapes.list_words(args.data / "speech_commands")
    rng.shuffle(words)
    sounds = soundscapes.list_instruments(args.data / "audioset_mini")
    for label in sorted({sound.label for sound in words}):
        sounds += [x for x in words if x.label == label][:N_WORDS]
    tagger = AudioTagger.from_pretrained(args.model, threads=1)
    found = []
    for kind, seconds in SECONDS.items():
        with tempfile.TemporaryDirectory() as scratch:
            clips = Clips(sounds, Path(scratch, "clips"), tagger, seconds)
            labels = sorted({*clips.labels[clips.of_kind(kind)]})
            found.append(found_row(clips, kind, labels, rng))
    write_tables("search_loop", {"Clips that are found": (NOTE, found)})


if __name__ == "__main__":
    main()
