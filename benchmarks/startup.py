"""Compares the ONNX engine with torch's: first tags and memory.

From the start of ``fftp-tag`` to its end for a file of 10 s at 16 kHz, with
models of random weights in both forms: a ConvNeXt1d in the demo's size and
CED-tiny. Processes take turns. Writes benchmarks/results/startup.json.

> python benchmarks/startup.py

Authors
 * The speechbrain_fftp authors 2026
"""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import harness
import numpy as np
import soundfile as sf
import torch
from random_models import make_ced_tagger, make_tagger

from speechbrain_fftp.inference.folder import write_folder
from speechbrain_fftp.inference.onnx import export_onnx
from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d
from speechbrain_fftp.nnet.patching import FFTPEmbedding

DEMO, TINY = "ConvNeXt1d of the demo's size", "CED-tiny"
GOALS = {DEMO: 0.5, TINY: 0.6}  # seconds
ENGINES = ("torch", "ONNX Runtime")
# In a small process, since peak memory includes that of the one before fork
MEASURE = """
import resource, subprocess, sys, time

start = time.perf_counter()
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
seconds = time.perf_counter() - start
print(seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def make_models():
    """Taggers with random weights, by name."""
    torch.manual_seed(0)
    embedding = FFTPEmbedding(128, 96, patch_frames=10, stride_frames=10)
    return {
        DEMO: make_tagger(
            "smoke",
            embedding_model=ConvNeXt1d(128, 96, 4, embedding=embedding).eval(),
            classifier=torch.nn.Linear(96, 527),
        ),
        TINY: make_ced_tagger(),
    }


def write_models(folder, models):
    """Paths of the models by name and engine."""
    paths = {}
    for number, (name, tagger) in enumerate(models.items()):
        inference = folder / f"inference-{number}"
        engine = tagger.engine
        hparams = {**vars(engine.hparams), "single_label": False}
        write_folder(inference, dict(engine.mods), hparams)
        exported = export_onnx(tagger, folder / f"model-{number}.onnx")
        paths[name] = dict(zip(ENGINES, (inference, exported)))
    return paths


def run_command(*arguments):
    """Seconds and peak memory in MiB of ``fftp-tag`` in a new process."""
    command = [str(Path(sys.executable).with_name("fftp-tag"))]
    command += map(str, arguments)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *command],
        stdout=subprocess.PIPE,
        check=True,
    )
    seconds, kibibytes = map(float, done.stdout.split())
    return seconds, kibibytes / 1024


def first_tags(paths, clip, rounds):
    """Rows of whole processes, and their median seconds by name and engine."""
    cases = {("--help", "-"): ["--help"]}
    for name, sources in paths.items():
        for engine, source in sources.items():
            cases[name, engine] = [clip, "--model", source]
    for arguments in cases.values():  # what is read is cached from now on
        run_command(*arguments)
    runs = {case: [] for case in cases}
    for _ in range(rounds):
        for case, arguments in cases.items():
            runs[case].append(run_command(*arguments))
    rows, medians = [], {}
    for (name, engine), found in runs.items():
        seconds, memory = zip(*found)
        medians[name, engine] = statistics.median(seconds), max(memory)
        row = {
            "command": "fftp-tag --help" if engine == "-" else "fftp-tag",
            "model": "-" if engine == "-" else name,
            "engine": engine,
            "s, median": f"{statistics.median(seconds):.2f}",
            "minimum": f"{min(seconds):.2f}",
            "peak memory, MiB": f"{max(memory):.0f}",
            "seconds": harness.numbered(seconds),
        }
        harness.add_row(rows, row)
    return rows, medians


def make_targets(medians):
    """Rows of the targets."""
    rows = []
    for name, goal in GOALS.items():
        work = f"from the start of a process to the tags of 10 s, {name}, ONNX"
        seconds, memory = medians[name, ENGINES[1]]
        torch_memory = medians[name, ENGINES[0]][1]
        rows.append(harness.target(work, goal, seconds, " s", at_least=False))
        rows.append(
            harness.target(
                f"the same, peak memory relative to torch's, {name}",
                0.33,
                memory / torch_memory,
                at_least=False,
            )
        )
    seconds, _ = medians["--help", "-"]
    work = "fftp-tag --help"
    rows.append(harness.target(work, 0.1, seconds, " s", at_least=False))
    return rows


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=10)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        paths = write_models(folder, make_models())
        clip = folder / "clip.wav"
        wav = 0.1 * np.random.default_rng(0).standard_normal(160000)
        sf.write(clip, wav, 16000)
        first, medians = first_tags(paths, clip, args.rounds)
    each = f"Rounds: {args.rounds}. {args.note}"
    sections = {
        "From the start of a process": (each, first),
        "Targets": ("", make_targets(medians)),
    }
    about = harness.environment("cpu", ("onnxruntime", "soundfile"))
    harness.write_results("startup", about, sections)


if __name__ == "__main__":
    main()
