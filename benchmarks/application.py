"""Measures how long ``learn`` and a query of ``find`` take.

* learn: five classes of 20 clips of 5 s of noise, with cross-validation, on the
  demo's encoder;
* find: a query of an index of random features of 100 hours, in windows of 5 s,
  with as many features as an encoder of 192 dimensions has.

> python benchmarks/application.py

Authors
 * The speechbrain_fftp authors 2026
"""

import tempfile
import time
from pathlib import Path

import harness
import numpy as np
import soundfile
from random_models import RATE, make_demo_tagger

import fftp_tag
from fftp_tag.files import file_identity
from fftp_tag.search.index import IndexedFile, Settings, SoundIndex

LEARN_DEMO = "learn, 100 clips of 5 s, the demo's encoder"
FIND = "find, 100 hours in windows of 5 s"
CLASSES, CLIPS = 5, 20
HOURS, WINDOW, FEATURES = 100, 5, 192


def write_clips(folder, seconds):
    """Writes a folder of clips of noise for each class."""
    noise = np.random.default_rng(0)
    for label in range(CLASSES):
        own_folder = folder / f"class {label}"
        own_folder.mkdir(parents=True)
        for number in range(CLIPS):
            wav = noise.uniform(-0.1, 0.1, int(seconds * RATE))
            soundfile.write(own_folder / f"{number}.flac", wav, RATE)
    return folder


def time_learning(tagger, clips, rounds):
    """Seconds to learn from clips, without cached features."""
    seconds = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as output:
            start = time.perf_counter()
            fftp_tag.learn(tagger, clips, Path(output, "model.onnx"))
            seconds.append(time.perf_counter() - start)
    return harness.summary(seconds, "s")


def make_index(archive):
    """An index of random features, in files of one hour that stand for audio."""
    archive.mkdir()
    settings = Settings(
        archive=str(archive),
        model="",
        digest="",
        window=WINDOW,
        hop=WINDOW,
    )
    rng = np.random.default_rng(0)
    starts = np.arange(0, 3600, WINDOW)
    times = np.stack([starts, starts + WINDOW], 1)
    shape = len(times), FEATURES
    files = {}
    for hour in range(HOURS):
        path = archive / f"{hour}.wav"
        path.write_text(str(hour))
        files[path.name] = IndexedFile(
            identity=file_identity(path),
            seconds=3600.0,
            damage=None,
            times=times,
            rows=rng.standard_normal(shape, np.float32).astype(np.float16),
        )
    return SoundIndex(settings, files)


def main():
    """Measures and stores the results."""
    args = harness.read_options(__doc__, rounds=3)
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        tagger = make_demo_tagger(scratch / "demo.onnx", args.threads)
        clips = write_clips(scratch / "clips", 0.5 if args.smoke else 5)
        rows = {LEARN_DEMO: time_learning(tagger, clips, args.rounds)}
        index = make_index(scratch / "archive")
        example = np.random.default_rng(1).standard_normal((1, FEATURES))
        rows.update(harness.compare({FIND: lambda: index.find(example)}, args))
    harness.Results(args, "application", {}, ("onnxruntime",)).add(rows)


if __name__ == "__main__":
    main()
