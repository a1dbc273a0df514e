"""Speed of tagging many short files on a CPU, by the number of threads.

Tags noise files of 1 to 4 s with an AST of random weights in the demo's size
(width 192, 4 layers), one by one, in pools of threads that share the tagger and
with tag_files, alone and beside processes that keep one core or all of them
busy. Cases take turns. Writes
benchmarks/results/small_files.json and .md.

> python benchmarks/small_files.py

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import harness
import numpy as np
import soundfile as sf
from random_models import make_tagger

from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.nnet.patching import FFTPEmbedding


def write_clips(folder, number):
    """Writes clips of noise; returns their paths."""
    rng = np.random.default_rng(0)
    paths = [str(Path(folder) / f"{i}.wav") for i in range(number)]
    for path in paths:
        size = int(16000 * rng.uniform(1, 4))
        sf.write(path, 0.1 * rng.standard_normal(size), 16000)
    return paths


def tag_file(tagger, paths):
    """Calls tag_file for each file."""
    for path in paths:
        tagger.tag_file(path)


def pool(tagger, paths, size):
    """Calls tag_file in a pool of threads."""
    with ThreadPoolExecutor(size) as threads:
        list(threads.map(tagger.tag_file, paths))


def tag_files(tagger, paths):
    """Calls tag_files once."""
    for row in tagger.tag_files(paths):
        assert row.error is None


METHODS = {
    "tag_file": tag_file,
    "pool of 2": functools.partial(pool, size=2),
    "pool of 4": functools.partial(pool, size=4),
    "pool of 8": functools.partial(pool, size=8),
    "tag_files": tag_files,
}


def measure(tagger, paths, rounds):
    """Seconds and seconds of CPU time of each case, in turns."""
    cases = {(method, number): [] for method in METHODS for number in (1, None)}
    for _ in range(rounds):
        for (method, number), runs in cases.items():
            tagger.engine.call_threads.threads = number
            start = time.perf_counter(), time.process_time()
            METHODS[method](tagger, paths)
            end = time.perf_counter(), time.process_time()
            runs.append([b - a for a, b in zip(start, end)])
    return cases


def add_rows(rows, load, cases, count):
    """Adds the rows of a load: the rates relative to one thread, one by one."""
    base = statistics.median(run[0] for run in cases["tag_file", 1])
    for (method, number), runs in cases.items():
        wall, cpu = map(statistics.median, zip(*runs))
        row = {
            "busy processes started": load,
            "method": method,
            "threads": number or "auto",
            "files/s, median": f"{count / wall:.3g}",
            "best round": f"{count / min(run[0] for run in runs):.3g}",
            "CPU ms per file": f"{1000 * cpu / count:.1f}",
            "relative to tag_file, 1 thread": f"{base / wall:.2f}",
            "runs": harness.numbered(runs),
        }
        harness.add_row(rows, row)


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=9, files=60)
    count = 3 if args.smoke else args.files
    embedding = FFTPEmbedding(128, 192, patch_frames=10, stride_frames=10)
    encoder = AST(128, 192, 4, 3, embedding=embedding)
    tagger = make_tagger("AST-tiny", embedding_model=encoder.eval())
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        paths = write_clips(folder, count)
        tag_files(tagger, paths[:20])
        for number in (0, 1, os.cpu_count()):
            command = [sys.executable, "-c", "while True: pass"]
            others = [subprocess.Popen(command) for _ in range(number)]
            try:
                cases = measure(tagger, paths, args.rounds)
            finally:
                for process in others:
                    process.kill()
            add_rows(rows, number, cases, count)
    note = (
        f"{count} files of 1 to 4 s at 16 kHz, rounds: {args.rounds}. AST of "
        "width 192, 4 layers, patches 10/10. auto: the default, at most "
        f"{args.threads} threads for a batch. {args.note}"
    )
    about = harness.environment("cpu", ("soundfile",))
    harness.write_results("small_files", about, {"Short files": (note, rows)})


if __name__ == "__main__":
    main()
