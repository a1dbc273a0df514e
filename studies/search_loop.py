"""Compares ways to find the clips of a class in an archive, by listening to 40.

In each draw, an archive of 800 clips has 25 of a class, and one clip of it from
another speaker or recording session is the example. Instruments (the first 4 s)
are among the other instruments and words; words of one second among other words.
There is a draw of each of the ten instruments and ten words. Ways:

* **embeddings**: an index of pooled embeddings, as before; lists 20 clips, and
  20 more that are similar to any of those that were right;
* **features**: the same with ``index`` and ``find``, by the mean of those that
  were right;
* **features, every 5**: ``find`` again after every five answers;
* **learn, every 5**: ``find`` lists the first five; then a class is learnt from
  the example and what was right, with what was wrong as background, and ranks
  the next five, until 40.

Also the precision at 10 in all clips of the kind, without those of a speaker or
session of an example, with one example and with five. Written after a look at
other draws of the same clips, with which the shrinkage of ``find`` was chosen.
Intervals (95 %) are Student's t over draws. Writes
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
from scipy.stats import ttest_1samp

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
import harness

from fftp_tag import AudioTagger, learn
from fftp_tag.search.index import SoundIndex, update_index
from fftp_tag.tag.model import Model
from speechbrain_fftp.dataio.errors import InputError
from studies import soundscapes

TABLES = ROOT / "studies" / "results" / "tables"
SIZE, TARGETS, LISTENED, FEW = 800, 25, 40, 5
DRAWS = 1  # of each class
SECONDS = {"instruments": 4.0, "words": 1.0}
N_WORDS = 90  # clips of each word
EMBEDDINGS, FEATURES = "embeddings", "features"
FEATURES_5, LEARN_5 = "features, every 5", "learn, every 5"
WAYS = (EMBEDDINGS, FEATURES, FEATURES_5, LEARN_5)


class Draw(NamedTuple):
    """An example, and the clips of an archive."""

    example: int
    archive: np.ndarray


class Clips:
    """Clips of both kinds with an index of a kind's window."""

    def __init__(self, sounds, folder, tagger, seconds):
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
        # Silent clips have no window
        self.parts = [parts[path.name] for path in self.paths]
        self.features = np.stack(
            [
                part.rows[0] if len(part.rows) else np.zeros(part.rows.shape[1])
                for part in self.parts
            ]
        )
        embeddings = [tagger.embed_file(path) for path in self.paths]
        self.embeddings = unit(np.stack(embeddings))

    def archive(self, numbers):
        """The index of some of the clips."""
        parts = [self.parts[number] for number in numbers]
        return SoundIndex.make(self.index.settings, parts)


def unit(rows):
    """Scales vectors to unit length."""
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def by_embeddings(clips, draw, examples):
    """Clips of the archive, the most similar to any of the examples first."""
    rows = clips.embeddings[draw.archive]
    mean, std = rows.mean(0), rows.std(0)
    examples = unit((clips.embeddings[examples] - mean) / std)
    scores = (unit((rows - mean) / std) @ examples.T).max(1)
    return draw.archive[np.argsort(-scores)]


def numbers_of(places):
    """The clips of places, each once."""
    return list(dict.fromkeys(int(Path(x.file).stem) for x in places))


def by_features(clips, draw, examples):
    """Clips of the archive, the most similar to the examples first."""
    index = clips.archive(draw.archive)
    return numbers_of(index.find(clips.features[examples], SIZE))


def by_learning(clips, draw, right, wrong, scratch, tagger):
    """Clips of the archive, the most probable of the class first."""
    folder, output = scratch / "sounds", scratch / "my.onnx"
    for name, numbers in (("class", right), ("background", wrong)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in numbers:
            path = clips.paths[number]
            link = folder / name / path.name
            if not link.is_symlink():
                link.symlink_to(path)
    learn(tagger, folder, output, num_workers=1)
    index = clips.archive(draw.archive)
    # Clips of the folder are in the index: they are left out
    return numbers_of(index.find_classes(Model(output, threads=1), SIZE))


def count_found(way, clips, draw, tagger):
    """How many of the clips that were listened to are of the class."""
    label = clips.labels[draw.example]
    right, heard = [draw.example], []
    with tempfile.TemporaryDirectory() as scratch:
        while len(heard) < LISTENED:
            wrong = [n for n in heard if clips.labels[n] != label]
            by_examples = by_embeddings if way == EMBEDDINGS else by_features
            ranked = by_examples(clips, draw, right)
            if way == LEARN_5 and wrong:
                with contextlib.suppress(InputError):  # far shorter clips
                    ranked = by_learning(
                        clips, draw, right, wrong, Path(scratch), tagger
                    )
            count = FEW if way in (FEATURES_5, LEARN_5) else LISTENED // 2
            new = [n for n in ranked if n not in heard][:count]
            heard += new
            right += [n for n in new if clips.labels[n] == label]
    return len(right) - 1


def draw_archive(clips, kind, label, rng):
    """An example of a class, and an archive without its speaker or session."""
    of_kind = clips.is_word == (kind == "words")
    own = np.flatnonzero((clips.labels == label) & of_kind)
    counts = {n: np.sum(clips.groups[own] == clips.groups[n]) for n in own}
    example = rng.choice([n for n in own if len(own) - counts[n] >= TARGETS])
    others = own[clips.groups[own] != clips.groups[example]]
    chosen = [rng.choice(others, TARGETS, replace=False)]
    rest = np.flatnonzero((clips.labels != label) & of_kind)
    rng.shuffle(rest)
    chosen.append(rest[: SIZE - TARGETS])
    words = np.flatnonzero(~of_kind)
    missing = SIZE - sum(map(len, chosen))
    chosen.append(rng.choice(words, missing, replace=False))
    return Draw(int(example), np.concatenate(chosen))


def precision(way, clips, kind, label, count, rng):
    """The share of the class in the ten best clips."""
    numbers = np.flatnonzero(clips.is_word == (kind == "words"))
    own = numbers[clips.labels[numbers] == label]
    examples = rng.choice(own, count, replace=False)
    other = ~np.isin(clips.groups[numbers], clips.groups[examples])
    draw = Draw(-1, numbers[other])
    best = {EMBEDDINGS: by_embeddings, FEATURES: by_features}[way]
    ranked = list(best(clips, draw, examples))[:10]
    return float(np.mean(clips.labels[ranked] == label))


def mean_of(values):
    """The mean with its interval over draws, for a table."""
    by_t = ttest_1samp(values, 0).confidence_interval()
    return f"{np.mean(values):.1f} [{by_t.low:.1f}, {by_t.high:.1f}]"


def main():
    """Runs the draws and writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("model")
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    rng = np.random.default_rng(args.seed)
    words = soundscapes.list_words(args.data / "speech_commands")
    rng.shuffle(words := [*words])
    sounds = soundscapes.list_instruments(args.data / "audioset_mini")
    for label in sorted({sound.label for sound in words}):
        sounds += [x for x in words if x.label == label][:N_WORDS]
    tagger = AudioTagger.from_pretrained(args.model, threads=1)
    found, precisions = [], []
    for kind, seconds in SECONDS.items():
        with tempfile.TemporaryDirectory() as scratch:
            clips = Clips(sounds, Path(scratch, "clips"), tagger, seconds)
            own = clips.labels[clips.is_word == (kind == "words")]
            labels = sorted(set(own))
            draws = [
                draw_archive(clips, kind, label, rng)
                for label in labels
                for _ in range(args.draws)
            ]
            counts = {way: [] for way in WAYS}
            for draw in draws:
                for way in WAYS:
                    counts[way].append(count_found(way, clips, draw, tagger))
                print(kind, *(each[-1] for each in counts.values()), flush=True)
            old = np.array(counts[EMBEDDINGS])
            row = {"clips": kind, "draws": len(draws)}
            row.update({way: mean_of(each) for way, each in counts.items()})
            row["learn - embeddings"] = mean_of(counts[LEARN_5] - old)
            row["found"] = counts
            harness.add_row(found, row)
            for count in (1, 5):
                row = {"clips": kind, "examples": count}
                for way in WAYS[:2]:
                    again = np.random.default_rng(args.seed)
                    values = [
                        precision(way, clips, kind, label, count, again)
                        for label in labels
                        for _ in range(10)
                    ]
                    row[way] = f"{np.mean(values):.3f}"
                harness.add_row(precisions, row)
    note = (
        f"How many of {TARGETS} clips of a class in an archive of {SIZE} are "
        f"among the {LISTENED} that are listened to."
    )
    sections = {
        "Clips that are found": (note, found),
        "Precision at 10": ("Other speakers and sessions.", precisions),
    }
    about = harness.environment("cpu")
    harness.write_results("search_loop", about, sections, TABLES)


if __name__ == "__main__":
    main()
