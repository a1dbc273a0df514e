"""Measures how much busy processes slow models down.

AST-tiny and AST-base with 96 full-frequency patches map waveforms of 10 s to
probabilities, with ONNX Runtime's default number of threads: otherwise idle,
and beside one and two busy processes. Also with threads that spin while they
wait for work, ONNX Runtime's default. Writes benchmarks/results/threads.json.

> python benchmarks/threads.py

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import functools
import subprocess
import sys
import tempfile
from pathlib import Path

import harness
import numpy as np
import onnxruntime
from random_models import RATE, make_ast, make_modules, make_tagger

BUSY = (0, 1, 2)  # processes
SPINNING = ", spinning"


@contextlib.contextmanager
def busy_processes(count):
    """Keeps processes computing during the block."""
    command = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=20)
    wavs = 0.1 * np.random.default_rng(0).standard_normal((1, 10 * RATE))
    inputs = {
        "wavs": wavs.astype(np.float32),
        "wav_lens": np.ones(1, np.float32),
    }
    cases = {}
    with tempfile.TemporaryDirectory() as folder:
        for size in ("smoke",) if args.smoke else ("tiny", "base"):
            path = Path(folder, f"{size}.onnx")
            model = make_tagger(path, make_modules(make_ast(size))).model
            cases[f"AST-{size}"] = functools.partial(model.probabilities, wavs)
            session = onnxruntime.InferenceSession(
                path, providers=["CPUExecutionProvider"]
            )
            cases[f"AST-{size}{SPINNING}"] = functools.partial(
                session.run, ["probabilities"], inputs
            )
        times = {}
        for count in BUSY:
            with busy_processes(count):
                times[count] = harness.compare(cases, args.rounds)
    rows, targets = [], []
    for name in cases:
        medians = {n: times[n][name]["median"] for n in BUSY}
        row = {"model": name}
        for count, median in medians.items():
            row[f"ms beside {count}"] = f"{1000 * median:.1f}"
        row["seconds"] = {str(n): times[n][name] for n in BUSY}
        harness.add_row(rows, row)
        if SPINNING in name:
            continue
        targets.append(
            harness.target(
                f"{name}, 96 FFTP patches, beside a busy process: time of idle",
                1.5,
                medians[1] / medians[0],
                at_least=False,
                reason="that process takes one of two cores",
            )
        )
    about = harness.environment("cpu", ("onnxruntime",))
    sections = {"Threads": ("", rows), "Targets": ("", targets)}
    harness.write_results("threads", about, sections)


if __name__ == "__main__":
    main()
