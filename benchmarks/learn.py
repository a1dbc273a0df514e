"""Measures how long it takes to learn classes from 100 clips of 10 s.

Five classes of 20 clips of noise, which no model could learn, and encoders of
random weights: a ConvNeXt1d of the demo's size that classifies time steps, and
CED-tiny. The second time, the tokens of the clips are known.
Writes benchmarks/results/learn.json.

> python benchmarks/learn.py

Authors
 * The speechbrain_fftp authors 2026
"""

import shutil
import statistics
import tempfile
import time
from pathlib import Path

import harness
import numpy as np
import soundfile as sf
import torch
from random_models import make_ced_tagger, make_tagger

from speechbrain_fftp.lobes.frame_classifier import FrameClassifier
from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d
from speechbrain_fftp.nnet.patching import FFTPEmbedding

CLASSES, CLIPS = 5, 20
GOAL = 10  # seconds
TINY = "CED-tiny"


def make_models():
    """Taggers with random weights, by name."""
    torch.manual_seed(0)
    embedding = FFTPEmbedding(128, 96, patch_frames=10, stride_frames=5)
    encoder = ConvNeXt1d(128, 96, 4, embedding=embedding, pooling="tokens")
    return {
        "ConvNeXt1d of the demo's size, time steps": make_tagger(
            "smoke",
            embedding_model=encoder.eval(),
            classifier=FrameClassifier(96, 527).eval(),
        ),
        TINY: make_ced_tagger(),
    }


def write_clips(folder, seconds):
    """Writes a folder of clips for each class."""
    noise = np.random.default_rng(0)
    for label in range(CLASSES):
        place = folder / f"class {label}"
        place.mkdir(parents=True)
        for number in range(CLIPS):
            wav = noise.uniform(-0.1, 0.1, int(seconds * 16000))
            sf.write(place / f"{number}.flac", wav, 16000)
    return folder


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=3)
    models = make_models()
    rows, targets = [], []
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        clips = write_clips(scratch / "clips", 0.5 if args.smoke else 10)
        for name, tagger in models.items():
            times = {"first": [], "again": []}
            for _ in range(args.rounds):
                shutil.rmtree(scratch / "model", ignore_errors=True)
                for when in times:
                    start = time.perf_counter()
                    tagger.learn(clips, scratch / "model")
                    times[when].append(time.perf_counter() - start)
            row = {"model": name}
            for when, seconds in times.items():
                row[f"{when}, s"] = f"{statistics.median(seconds):.1f}"
            harness.add_row(rows, row)
            if name == TINY:
                targets.append(
                    harness.target(
                        "five classes learned from 100 clips of 10 s, CED-tiny",
                        GOAL,
                        statistics.median(times["first"]),
                        unit=" s",
                        at_least=False,
                    )
                )
    note = (
        f"{CLASSES * CLIPS} clips of 10 s, cross-validation included, median "
        f"of {args.rounds} rounds; the model is loaded already."
    )
    harness.write_results(
        "learn",
        harness.environment("cpu"),
        {"Learning": (note, rows), "Targets": ("", targets)},
    )


if __name__ == "__main__":
    main()
