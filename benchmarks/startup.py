"""Measures time and memory of a new process that tags a file.

``fftp-tag`` tags a file of 10 s at 16 kHz, with models of random weights: the
demo's and CED-tiny. SpeechBrain's EncoderClassifier does the same with the
demo's model in PyTorch. Processes take turns. Writes
benchmarks/results/startup.json.

> python benchmarks/startup.py

Authors
 * The speechbrain_fftp authors 2026
"""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import harness
import numpy as np
import soundfile
import torch
from random_models import (
    CED_TINY,
    DEMO,
    RATE,
    load_demo,
    make_int8,
    make_small_taggers,
)

from speechbrain_fftp.utils.inference_folder import write_inference_folder

HELP = "fftp-tag --help"
OURS = f"fftp-tag, {DEMO}"
TINY = f"fftp-tag, {CED_TINY}"
PEER = f"EncoderClassifier, {DEMO}"
CLASSIFY = """
import sys
from speechbrain.inference.classifiers import EncoderClassifier

folder, clip = sys.argv[1:]
classifier = EncoderClassifier.from_hparams(folder)
print(classifier.classify_file(clip)[3])
"""
# In a small process, since the memory before the fork counts towards the peak
MEASURE = """
import resource, subprocess, sys, time

start = time.perf_counter()
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
seconds = time.perf_counter() - start
print(seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def make_commands(folder, clip, smoke):
    """Writes the models.

    Returns the commands by title, and the MB of the demo's model in int8.
    """
    demo = SimpleNamespace(hparams=SimpleNamespace(**load_demo(folder)))
    clips = {"train": [{"sig": torch.zeros(RATE, dtype=torch.int16)}]}
    write_inference_folder(demo, clips, folder=folder / "inference")
    taggers = make_small_taggers(folder, smoke)
    size = Path(make_int8(taggers[DEMO]).model.path).stat().st_size
    fftp_tag = Path(sys.executable).with_name("fftp-tag")
    commands = {
        HELP: [fftp_tag, "--help"],
        OURS: [fftp_tag, clip, "--model", taggers[DEMO].model.path],
        TINY: [fftp_tag, clip, "--model", taggers[CED_TINY].model.path],
        PEER: [sys.executable, "-c", CLASSIFY, folder / "inference", clip],
    }
    return commands, size / 1e6


def run_command(command, folder):
    """Seconds and peak memory in MiB of a new process."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, command)],
        stdout=subprocess.PIPE,
        check=True,
        cwd=folder,  # SpeechBrain may write there
    )
    seconds, kibibytes = map(float, done.stdout.split())
    return seconds, kibibytes / 1024


def measure(commands, folder, rounds):
    """Rows, and median seconds of each command."""
    for command in commands.values():  # fill the file cache
        run_command(command, folder)
    runs = {what: [] for what in commands}
    for _ in range(rounds):
        for what, command in commands.items():
            runs[what].append(run_command(command, folder))
    rows, seconds = [], {}
    for what, found in runs.items():
        times = [time for time, _ in found]
        seconds[what] = statistics.median(times)
        memory = max(mebibytes for _, mebibytes in found)
        row = {
            "process": what,
            "s, median": f"{seconds[what]:.2f}",
            "minimum": f"{min(times):.2f}",
            "peak memory, MiB": f"{memory:.0f}",
            "seconds": dict(enumerate(times)),
        }
        harness.add_row(rows, row)
    return rows, seconds


def make_targets(seconds, megabytes):
    """Rows of the targets."""
    work = "from the start of a process to the tags of 10 s"
    return [
        harness.target(f"{work}, {DEMO}", 0.4, seconds[OURS], " s", False),
        harness.target(
            "the same, speed relative to SpeechBrain's EncoderClassifier",
            5,
            seconds[PEER] / seconds[OURS],
        ),
        harness.target(
            "size of the page's model, int8, a third of 3.0 MB",
            1,
            megabytes,
            " MB",
            at_least=False,
        ),
    ]


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=10)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        clip = folder / "clip.wav"
        wav = 0.1 * np.random.default_rng(0).standard_normal(10 * RATE)
        soundfile.write(clip, wav, RATE)
        commands, megabytes = make_commands(folder, clip, args.smoke)
        rows, seconds = measure(commands, folder, args.rounds)
    sections = {
        "From the start of a process": (
            f"Rounds: {args.rounds}.",
            rows,
        ),
        "Targets": ("", make_targets(seconds, megabytes)),
    }
    about = harness.environment("cpu", ("onnxruntime", "soundfile"))
    harness.write_results("startup", about, sections)


if __name__ == "__main__":
    main()
