"""Speed and memory of tagging long files on a CPU.

Tags noise files (44.1 kHz, stereo) of an hour and of ten seconds, each task in
a process of its own, with a tiny AST of random weights: width 192, 12 layers,
full-frequency patches of 50 frames every 10. Writes
benchmarks/results/tagging.json and .md.

> python benchmarks/tagging.py

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import harness
import numpy as np
import soundfile as sf

RATE = 44100
RECIPE = """
sample_rate: 16000
max_frames: 1024
compute_features: !new:speechbrain_fftp.lobes.features.KaldiFbank
mean_var_norm: !new:speechbrain_fftp.lobes.features.DatasetNormalization
embedding_model: !new:speechbrain_fftp.lobes.models.AST.AST
    embed_dim: 192
    depth: 12
    num_heads: 3
    embedding: !new:speechbrain_fftp.nnet.patching.FFTPEmbedding
        n_mels: 128
        embed_dim: 192
        patch_frames: 50
        stride_frames: 10
classifier: !new:torch.nn.Linear [192, 527]
modules: null
"""
# What is measured: a method of AudioTagger and its options.
TASKS = {
    "tag_file": {},
    "analyze": {"window": 10.0, "hop": 5.0},
}


def write_model(folder):
    """Writes an inference folder of random weights."""
    from random_models import make_labels, make_modules

    from speechbrain_fftp.inference.folder import export_inference

    (folder / "recipe.yaml").write_text(RECIPE, "utf-8")
    return export_inference(
        folder / "recipe.yaml",
        make_modules("AST-tiny"),
        make_labels(),
        folder / "inference",
    )


def write_noise(path, seconds):
    """Writes a stereo file, one minute at a time."""
    rng = np.random.default_rng(0)
    with sf.SoundFile(path, "w", RATE, 2, "PCM_16") as file:
        while seconds > 0:
            size = int(min(seconds, 60) * RATE)
            file.write(0.1 * rng.standard_normal((size, 2)))
            seconds -= 60


def child(model, path, task, threads):
    """Runs a task and prints its cost as JSON."""
    from speechbrain_fftp.inference import AudioTagger

    started = time.perf_counter()
    tagger = AudioTagger.from_pretrained(model, threads=int(threads))
    loaded = time.perf_counter()
    getattr(tagger, task)(path, **TASKS[task])
    done = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MiB
    result = {"load": loaded - started, "work": done - loaded, "peak": peak}
    print(json.dumps(result))


def measure(model, path, task, threads):
    """Runs ``child`` in a process of its own."""
    started = time.perf_counter()
    command = [sys.executable, __file__, "child", model, path, task, threads]
    done = subprocess.run(
        list(map(str, command)), check=True, capture_output=True, text=True
    )
    result = json.loads(done.stdout.splitlines()[-1])
    return {**result, "process": time.perf_counter() - started}


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=3, minutes=60.0)
    minutes = 0.5 if args.smoke else args.minutes
    rows, first = [], []
    with tempfile.TemporaryDirectory() as folder:
        model = write_model(Path(folder))
        long, short = Path(folder) / "long.wav", Path(folder) / "short.wav"
        write_noise(long, 60 * minutes)
        write_noise(short, 10)
        for task, options in TASKS.items():
            runs = [
                measure(model, long, task, args.threads)
                for _ in range(args.rounds)
            ]
            work = statistics.median(run["work"] for run in runs)
            row = {
                "task": task,
                "options": ", ".join(f"{k}={v}" for k, v in options.items()),
                "seconds, median": f"{work:.1f}",
                "x real time": f"{60 * minutes / work:.0f}",
                "peak RSS, MiB": f"{max(run['peak'] for run in runs):.0f}",
                "runs": harness.numbered(runs),
            }
            harness.add_row(rows, row)
        runs = [
            measure(model, short, "tag_file", args.threads)
            for _ in range(args.rounds)
        ]
        for name, what in (
            ("process", "start of Python to its end, including imports"),
            ("load", "from_pretrained"),
            ("work", "tag_file, the first call"),
        ):
            values = [run[name] for run in runs]
            row = {
                "what": what,
                "seconds, median": f"{statistics.median(values):.2f}",
                "minimum": f"{min(values):.2f}",
                "runs": harness.numbered(values),
            }
            harness.add_row(first, row)
    note = (
        f"Each task in a process of its own, rounds: {args.rounds}. AST of "
        f"width 192, 12 layers, patches 50/10. {args.note}"
    )
    sections = {
        f"{minutes:g} minutes at 44.1 kHz, stereo": (note, rows),
        "First tags of a 10 s clip": (
            "Latency of one command. " + args.note,
            first,
        ),
    }
    about = harness.environment("cpu", ("soundfile", "soxr"))
    harness.write_results("tagging", about, sections)


if __name__ == "__main__":
    child(*sys.argv[2:]) if sys.argv[1:2] == ["child"] else main()
