"""Measures time and memory of a query of an index.

The index has random embeddings of 100 hours of recordings in files of one hour,
in windows of 5 s, every 5 s or every second. The time excludes the model, which
embeds the example. Memory is allocated by reading the index and by a query.
With a model and DATA/audioset_mini of docs/data.md, precision at 10 is measured
as well: how many of the ten best clips have the example's class. Writes
benchmarks/results/find.json.

> python benchmarks/find.py [--data DATA/audioset_mini --model MODEL]

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import tempfile
import tracemalloc
from pathlib import Path

import harness
import numpy as np

from fftp_tag import AudioTagger
from fftp_tag.search.index import (
    IndexedFile,
    Settings,
    SoundIndex,
    update_index,
)

HOURS = 100
SMOKE_HOURS = 2
RATE = 16000
WINDOW = 5  # seconds
GOAL = 0.1  # seconds, for 5 s and 192 dimensions


def write_index(path, hours, hop, dim):
    """Writes an index of random embeddings."""
    settings = Settings(
        archive=str(path.parent),
        model=None,
        digest="",
        sample_rate=RATE,
        window=WINDOW * RATE,
        hop=hop * RATE,
    )
    index = SoundIndex(settings, [])
    rng = np.random.default_rng(0)
    count = 3600 // hop
    for hour in range(hours):
        rows = rng.standard_normal((count, dim), dtype=np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        file = IndexedFile(
            path=f"{hour}.wav",
            size=0,
            mtime_ns=0,
            n_samples=((count - 1) * hop + WINDOW) * RATE,
            rows=rows.astype(np.float16),
        )
        index.files.append(file)
    index.save(path)
    return index


def peak_memory(function):
    """Peak of the memory that a function allocates, in MiB."""
    tracemalloc.start()
    function()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 2**20


def read_classes(data):
    """The class of each clip, by file name."""
    with open(Path(data) / "clips.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {f"{row['ytid']}.flac": row["source_label"] for row in rows}


def precision(index, embeddings, classes, n_examples):
    """The mean precision at 10, not counting the examples themselves."""
    rng = np.random.default_rng(0)
    found = []
    for label in sorted(set(classes.values())):
        clips = [name for name in classes if classes[name] == label]
        for _ in range(30):
            examples = rng.choice(clips, n_examples, replace=False)
            places = index.find(
                np.stack([embeddings[name] for name in examples]),
                top_k=len(index.rows),
            )
            files = dict.fromkeys(Path(place.file).name for place in places)
            best = [name for name in files if name not in examples][:10]
            found.append(np.mean([classes[name] == label for name in best]))
    return float(np.mean(found))


def measure_precision(data, model):
    """Rows of precision at 10 with one, three and five examples."""
    tagger = AudioTagger.from_pretrained(model)
    classes = read_classes(data)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clips.index"
        update_index(path, tagger, Path(data) / "audio")
        index = SoundIndex.load(path)
        embeddings = {
            name: index.embed(tagger, Path(data) / "audio" / name)
            for name in classes
        }
        for count in (1, 3, 5):
            value = precision(index, embeddings, classes, count)
            row = {"examples": count, "precision at 10": f"{value:.3f}"}
            harness.add_row(rows, row)
    return rows


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=10, data=None, model=None)
    hours = SMOKE_HOURS if args.smoke else HOURS
    rows, target = [], None
    with tempfile.TemporaryDirectory() as folder:
        for dim in (192, 768):
            for hop in (5, 1):
                path = Path(folder) / f"{dim}-{hop}.index"
                index = write_index(path, hours, hop, dim)
                rng = np.random.default_rng(1)
                examples = rng.standard_normal((5, dim))
                times = harness.compare(
                    {
                        "1 example": lambda: index.find(examples[:1]),
                        "5 examples": lambda: index.find(examples),
                        "open": lambda: SoundIndex.load(path),
                    },
                    rounds=args.rounds,
                )
                memory = peak_memory(
                    lambda: SoundIndex.load(path).find(examples)
                )
                if target is None:
                    target = times["1 example"]["median"]
                row = {
                    "hop, s": hop,
                    "dimensions": dim,
                    "windows": len(index.rows),
                    "file, MiB": f"{index.rows.nbytes / 2**20:.0f}",
                    "open, ms": harness.milliseconds(times["open"]),
                    "1 example, ms": harness.milliseconds(times["1 example"]),
                    "5 examples, ms": harness.milliseconds(times["5 examples"]),
                    "memory, MiB": f"{memory:.0f}",
                    "times": times,
                }
                harness.add_row(rows, row)
    goal = harness.target(
        f"a query of {hours} hours, 5 s, 192 dimensions",
        GOAL,
        target,
        " s",
        at_least=False,
    )
    sections = {
        f"A query of {hours} hours": ("", rows),
        "Targets": ("", [goal]),
    }
    if args.data is not None:
        rows = measure_precision(args.data, args.model)
        sections["Precision at 10"] = ("", rows)
    about = harness.environment("cpu", ("numpy",))
    harness.write_results("find", about, sections)


if __name__ == "__main__":
    main()
