"""Milliseconds for one file at each stride, beside the study's accuracy.

The models are those of benchmarks/study/strides.yaml, here with random weights,
which take as long; their accuracy is read from the stored runs. The file is one
second of noise, from a wav file to its tags. Writes
benchmarks/results/strides.json and .md.

> python benchmarks/strides.py --threads 1

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import json
import statistics
import tempfile
from pathlib import Path

import harness
import numpy as np
import soundfile
import torch
from random_models import CLASSES, make_tagger

from speechbrain_fftp.lobes.features import KaldiFbank
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.nnet.patching import FFTPEmbedding

RUNS = Path(__file__).with_name("results") / "study" / "strides.jsonl"
STRIDES = (2, 5, 10, 20)
NOTE = """\
Models of 4 layers of 128 on 40 mel bins, patches of 10 frames. The accuracy is the
mean of the study's folds, in docs/evidence.md with its intervals: of one model that
was trained for all four strides, and of a model for each."""


def make_words_tagger(stride):
    """A tagger of the study's size, with random weights."""
    torch.manual_seed(0)
    embedding = FFTPEmbedding(40, 128, 10, stride)
    return make_tagger(
        "smoke",
        compute_features=KaldiFbank(n_mels=40),
        embedding_model=AST(40, 128, 4, 2, embedding),
        classifier=torch.nn.Linear(128, CLASSES),
    )


def read_accuracy():
    """Means over folds in %, by stride and whether one model has all."""
    found = {}
    for line in RUNS.read_text("utf-8").splitlines():
        run = json.loads(line)
        options = run["overrides"]
        key = options["stride_frames"], "strides" in options
        found.setdefault(key, []).append(100 * run["value"])
    return {key: statistics.mean(values) for key, values in found.items()}


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=20)
    accuracy, rows = read_accuracy(), []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "noise.wav"
        noise = 0.1 * np.random.default_rng(0).standard_normal(16000)
        soundfile.write(path, noise, 16000)
        times = harness.compare(
            {
                stride: functools.partial(
                    make_words_tagger(stride).tag_file, path
                )
                for stride in STRIDES
            },
            args.rounds,
        )
    for stride in STRIDES:
        row = {"stride": stride, "ms": harness.milliseconds(times[stride])}
        row["one model for all strides, %"] = f"{accuracy[stride, True]:.1f}"
        row["a model for this stride, %"] = f"{accuracy[stride, False]:.1f}"
        harness.add_row(rows, row)
    about = harness.environment("cpu")
    title = "A spoken word of 1 s, from a wav file to tags"
    harness.write_results("strides", about, {title: (NOTE, rows)})


if __name__ == "__main__":
    main()
