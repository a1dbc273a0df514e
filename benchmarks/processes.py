"""Measures time and memory of whole processes that tag a file.

The command ``fftp-tag`` with the demo's model, and SpeechBrain's
EncoderClassifier with the same modules, tag 10 s at 16 kHz; and an AST-tiny
with full-frequency patches finds tags and frame-level predictions in an hour of
44.1 kHz stereo.

> python benchmarks/processes.py

Authors
 * The speechbrain_fftp authors 2026
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import harness
import numpy as np
import soundfile
import torch
from random_models import (
    CLASSES,
    load_demo,
    make_ast,
    make_demo_tagger,
    make_modules,
    make_tagger,
)
from tagging import write_noise

from speechbrain_fftp.lobes.frame_classifier import FrameClassifier, FrameTagger
from speechbrain_fftp.utils.inference_folder import convert_run

OURS = "fftp-tag, 10 s, the demo's model"
PEER = "EncoderClassifier, 10 s, the demo's model"
HOUR = "an hour of 44.1 kHz stereo, AST-tiny, 96 FFTP patches"
CLASSIFY = """
import sys
from speechbrain.inference.classifiers import EncoderClassifier

folder, clip = sys.argv[1:]
classifier = EncoderClassifier.from_hparams(folder)
print(classifier.classify_file(clip)[3])
"""
ANALYZE = """
import sys
from fftp_tag import AudioTagger

found = AudioTagger.from_pretrained(sys.argv[1]).analyze(sys.argv[2])
print(found.tags(), found.events(threshold=0.999))
"""
# In a small process, since the memory before the fork counts towards the peak
MEASURE = """
import resource, subprocess, sys, time

start = time.perf_counter()
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
seconds = time.perf_counter() - start
print(seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


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


def make_commands(folder):
    """Writes the demo's model in both forms; returns commands by name."""
    demo = load_demo(folder)
    demo["checkpointer"].save_checkpoint()
    labels = Path(demo["save_folder"], "label_encoder.txt")
    demo["label_encoder"].save(labels)
    convert_run(folder, folder / "inference")
    model = make_demo_tagger(folder / "demo.onnx").model.path
    clip = write_noise(folder / "clip.wav", 10)
    command = Path(sys.executable).with_name("fftp-tag")
    return {
        OURS: [command, clip, "--model", model],
        PEER: [sys.executable, "-c", CLASSIFY, folder / "inference", clip],
    }


def make_hour(folder, smoke):
    """Writes the model and the long file; returns the command."""
    encoder = make_ast("smoke" if smoke else "tiny")
    classifier = FrameClassifier(encoder.embed_dim, CLASSES)
    modules = make_modules(
        FrameTagger(encoder, classifier), torch.nn.Identity()
    )
    model = make_tagger(folder / "steps.onnx", modules).model.path
    path = folder / "hour.wav"
    noise = 0.1 * np.random.default_rng(0).standard_normal((441000, 2))
    with soundfile.SoundFile(path, "w", 44100, 2) as file:
        for _ in range(2 if smoke else 360):
            file.write(noise)
    return [sys.executable, "-c", ANALYZE, model, path]


def main():
    """Measures and stores the results."""
    args = harness.read_options(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        commands = make_commands(folder)
        for command in commands.values():  # fill the file cache
            run_command(command, folder)
        runs = {name: [] for name in commands}
        for _ in range(args.rounds):
            for name, command in commands.items():
                runs[name].append(run_command(command, folder))
        runs[HOUR] = [run_command(make_hour(folder, args.smoke), folder)]
    rows = {}
    for name, found in runs.items():
        seconds, mebibytes = map(list, zip(*found))
        rows[name] = harness.summary(seconds, "s")
        rows[f"{name}, peak memory"] = harness.summary(mebibytes, "MiB")
    packages = ("onnxruntime", "soundfile", "speechbrain")
    harness.Results(args, "processes", {OURS: PEER}, packages).add(rows)


if __name__ == "__main__":
    main()
