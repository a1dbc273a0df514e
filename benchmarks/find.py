"""Measures time and memory of a query of an index.

The index has random features of 100 hours of recordings in files of one hour,
in windows of 5 s, every 5 s or every second: as many as of the demo's model, of
128 dimensions, or of one of 192. The time excludes the model, which computes the
features of the example. Memory is allocated by reading the index and by a query.
Writes benchmarks/results/find.json; studies/search_loop.py has what is found.

> python benchmarks/find.py

Authors
 * The speechbrain_fftp authors 2026
"""

import tempfile
import tracemalloc
from pathlib import Path

import harness
import numpy as np

from fftp_tag.search.index import IndexedPart, Settings, SoundIndex

HOURS = 100
SMOKE_HOURS = 2
RATE = 16000
WINDOW = 5  # seconds
FEATURES = (576, 768)  # of encoders of 128 and 192 dimensions
GOAL = 0.1  # seconds, for 5 s and 768 features


def write_index(path, hours, hop, n_features):
    """Writes an index of random features."""
    settings = Settings(
        archive=str(path.parent),
        model="",
        digest="",
        sample_rate=RATE,
        span=WINDOW * RATE,
        hop=hop * RATE,
        n_around=n_features // 3 - 64,
    )
    rng = np.random.default_rng(0)
    count = 3600 // hop
    parts = [
        IndexedPart(
            path=f"{hour}.wav",
            size=0,
            mtime_ns=0,
            number=0,
            n_parts=1,
            end=((count - 1) * hop + WINDOW) * RATE,
            starts=np.arange(count) * hop * RATE,
            rows=rng.standard_normal((count, n_features), np.float32).astype(
                np.float16
            ),
        )
        for hour in range(hours)
    ]
    index = SoundIndex.make(settings, parts)
    index.save(path)
    return index


def peak_memory(function):
    """Peak of the memory that a function allocates, in MiB."""
    tracemalloc.start()
    function()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 2**20


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=10)
    hours = SMOKE_HOURS if args.smoke else HOURS
    rows, target = [], None
    with tempfile.TemporaryDirectory() as folder:
        for n_features in FEATURES:
            for hop in (5, 1):
                path = Path(folder) / f"{n_features}-{hop}.index"
                index = write_index(path, hours, hop, n_features)
                rng = np.random.default_rng(1)
                examples = rng.standard_normal((5, n_features))
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
                if hop == WINDOW:  # the last one has most features
                    target = times["1 example"]["median"]
                row = {
                    "hop, s": hop,
                    "features": n_features,
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
        f"a query of {hours} hours, 5 s, 768 features",
        GOAL,
        target,
        " s",
        at_least=False,
    )
    sections = {
        f"A query of {hours} hours": ("", rows),
        "Targets": ("", [goal]),
    }
    about = harness.environment("cpu", ("numpy",))
    harness.write_results("find", about, sections)


if __name__ == "__main__":
    main()
