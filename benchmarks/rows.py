"""Measures the memory of a large table of clips, and of a worker that reads it.

The table is generated, with the columns of a prepared one. A worker is forked and
gets rows at random, as the workers of a loader do: first from SpeechBrain's
dictionaries, then, in a new process, from arrays.

> python benchmarks/rows.py 2000000
"""

import multiprocessing
import os
import random
import re
import resource
import sys
import tempfile
import time

from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain_fftp.dataio.files import write_csv
from speechbrain_fftp.training.rows import store_in_arrays

HEADER = ("ID", "duration", "wav", "start", "stop", "labels")
PASS = 100_000  # rows that a worker gets
FORK = multiprocessing.get_context("fork")


def write_table(path, count):
    """Writes a table with 2.7 labels a clip, as in AudioSet."""
    draw = random.Random(0)
    labels = [f"Sound of class {number}" for number in range(527)]
    rows = (
        (
            f"-{number:010d}",
            10.0,
            f"$data_root/wav/train-{number // 1000:04d}.wav",
            number % 1000 * 160000,
            (number % 1000 + 1) * 160000,
            ";".join(draw.sample(labels, draw.choice((2, 3, 3)))),
        )
        for number in range(count)
    )
    write_csv(path, HEADER, rows)


def memory(name):
    """The private or all memory of this process, in MB."""
    with open("/proc/self/smaps_rollup", encoding="ascii") as file:
        found = re.search(rf"{name}: *(\d+) kB", file.read())
    return int(found[1]) * 1024 / 1e6


def read_rows(dataset):
    """Prints by how much a pass grows the private memory of a worker."""
    draw = random.Random(1)
    dataset[0]
    before = memory("Private_Dirty")
    for _ in range(PASS):
        dataset[draw.randrange(len(dataset))]
    growth = memory("Private_Dirty") - before
    print(f"  a worker grows by {growth:.1f} MB in {PASS:,} rows", flush=True)


def measure(path, in_arrays):
    """Prints the CPU time to read a table, and the memory it takes."""
    before, start = memory("Rss"), time.process_time()
    dataset = DynamicItemDataset.from_csv(
        path, {"data_root": "/data/audioset/prepared"}, [], list(HEADER[1:])
    )
    seconds = time.process_time() - start
    print(
        f"{'arrays' if in_arrays else 'dictionaries'}: read in {seconds:.0f} s of CPU time"
    )
    if in_arrays:
        start = time.process_time()
        store_in_arrays(dataset)
        print(f"  made of dictionaries in {time.process_time() - start:.0f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(
        f"  the main process grows by {memory('Rss') - before:.0f} MB, "
        f"at its peak by {peak - before:.0f} MB",
        flush=True,
    )
    worker = FORK.Process(target=read_rows, args=[dataset])
    worker.start()
    worker.join()


def main(count):
    """Measures both in processes of their own."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "train.csv")
        write_table(path, count)
        for in_arrays in (False, True):
            process = FORK.Process(target=measure, args=[path, in_arrays])
            process.start()
            process.join()


if __name__ == "__main__":
    main(int(sys.argv[1]))
