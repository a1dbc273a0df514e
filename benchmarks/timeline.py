"""Cost of a timeline: time steps at once against windows of 1 s every 0.25 s.

Models with random weights, patches of 10 frames, a file of 10 minutes.

> python benchmarks/timeline.py

Authors
 * The speechbrain_fftp authors 2026
"""

import tempfile
from pathlib import Path

import harness
import numpy as np
import soundfile
from random_models import CLASSES, SIZES, make_tagger

from speechbrain_fftp.lobes.frame_classifier import FrameClassifier
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.nnet.patching import FFTPEmbedding

WINDOWS = {"window": 1.0, "hop": 0.25}


def main():
    """Prints and writes a row for each size."""
    args = harness.read_options(__doc__, rounds=3, minutes=10.0)
    rows, path = [], Path(tempfile.mkdtemp()) / "noise.wav"
    count = int(16000 * 60 * (0.1 if args.smoke else args.minutes))
    wav = 0.1 * np.random.default_rng(0).standard_normal(count)
    soundfile.write(path, wav, 16000)
    name = "smoke" if args.smoke else "AST-tiny"
    width, depth, heads = SIZES[name]
    for stride in (5, 10):
        embedding = FFTPEmbedding(128, width, 10, stride)
        tagger = make_tagger(
            name,
            embedding_model=AST(
                128, width, depth, heads, embedding, pooling="tokens"
            ),
            classifier=FrameClassifier(width, CLASSES),
        )
        times = harness.compare(
            {
                "windows": lambda: tagger.analyze(path, **WINDOWS),
                "steps": lambda: tagger.analyze(path),
            },
            args.rounds,
            120,
        )
        row = {"model": name, "stride": stride}
        row.update({k: harness.milliseconds(v) for k, v in times.items()})
        windows, steps = (times[k]["median"] for k in ("windows", "steps"))
        row["ratio"] = f"{windows / steps:.2f}x"
        harness.add_row(rows, row)
    about = harness.environment("cpu")
    title = f"A file of {count / 960000:g} minutes"
    harness.write_results("timeline", about, {title: (args.note, rows)})


if __name__ == "__main__":
    main()
