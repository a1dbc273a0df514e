"""Measures the way from audio files to tags, beside MobileNetV3-large.

AST-tiny with FFTP and timm's MobileNetV3-large have random weights, 527 classes
and the same front end, and are exported in the same way. One file of 10 s at
44.1 kHz, stereo; then 200 files of 1 s at 16 kHz, with ``tag_files`` and by
``tag_file`` in a loop. Writes benchmarks/results/end_to_end.json.

> python benchmarks/end_to_end.py

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import tempfile
from pathlib import Path

import harness
import numpy as np
import soundfile
import timm
import torch
from random_models import CLASSES, RATE, make_ast, make_tagger

from speechbrain_fftp.dataio.audio import read_audio

OURS = "AST-tiny FFTP, file to tags"
PEER = "MobileNetV3-large, file to tags"
MANY, LOOP = "tag_files", "tag_file in a loop"
FILES = 200


class MobileNet(torch.nn.Module):
    """timm's MobileNetV3-large on spectrograms, with logits as embeddings."""

    def __init__(self):
        super().__init__()
        name = "mobilenetv3_large_100"
        self.model = timm.create_model(name, in_chans=1, num_classes=CLASSES)

    def forward(self, feats, lengths=None):
        """Maps features ``[B, T, F]`` to logits ``[B, 1, C]``."""
        return self.model(feats.unsqueeze(1)).unsqueeze(1)


def write_noise(path, seconds, rate, channels):
    """Writes a file of noise."""
    shape = int(seconds * rate), channels
    noise = 0.1 * np.random.default_rng(0).standard_normal(shape)
    soundfile.write(path, noise, rate)
    return path


def time_file(tagger, peer, path, rounds):
    """Times of the whole way with either model, and of its parts."""
    wavs = read_audio(path, RATE)[None]
    cases = {
        OURS: functools.partial(tagger.tag_file, path),
        PEER: functools.partial(peer.tag_file, path),
        "reading and resampling": lambda: read_audio(path, RATE),
        "features": lambda: tagger.model.run(["features"], wavs),
        "features and AST-tiny FFTP": lambda: tagger.model.probabilities(wavs),
        "features and MobileNetV3-large": lambda: peer.model.probabilities(
            wavs
        ),
    }
    return harness.compare(cases, rounds)


def time_files(tagger, paths, rounds):
    """Times of many files."""
    cases = {
        MANY: lambda: list(tagger.tag_files(paths)),
        LOOP: lambda: [tagger.tag_file(path) for path in paths],
    }
    return harness.compare(cases, rounds)


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=20)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        modules = make_ast("smoke" if args.smoke else "tiny")
        tagger = make_tagger(folder / "ast.onnx", modules, args.threads)
        modules["embedding_model"] = MobileNet()
        modules["classifier"] = torch.nn.Identity()
        peer = make_tagger(folder / "peer.onnx", modules, args.threads)
        path = folder / "clip.wav"
        write_noise(path, 1 if args.smoke else 10, 44100, channels=2)
        one = time_file(tagger, peer, path, args.rounds)
        paths = [
            write_noise(folder / f"{number}.wav", 1, RATE, channels=1)
            for number in range(4 if args.smoke else FILES)
        ]
        many = time_files(tagger, paths, args.rounds)
    rows = [
        {"what": name, "ms": harness.milliseconds(time), "seconds": time}
        for name, time in one.items()
    ]
    rates = [
        {
            "by": name,
            "files a second": f"{len(paths) / time['median']:.0f}",
            "ms": harness.milliseconds(time),
            "seconds": time,
        }
        for name, time in many.items()
    ]
    ours = one[OURS]["median"]
    targets = [
        harness.target(
            "10 s of 44.1 kHz stereo, from file to tags, AST-tiny FFTP",
            20,
            1000 * ours,
            " ms",
            at_least=False,
            reason="the model and the resampling take most of it",
        ),
        harness.target(
            "the same, speed relative to MobileNetV3-large",
            1,
            one[PEER]["median"] / ours,
        ),
        harness.target(
            f"tag_files on {FILES} files of 1 s, AST-tiny FFTP, speed relative "
            "to tag_file in a loop",
            1.2,
            many[LOOP]["median"] / many[MANY]["median"],
        ),
    ]
    parts = "Rows without 'file to tags' are parts of it. "
    sections = {
        "A warm process": (parts + args.note, rows),
        f"{FILES} files of 1 s": (args.note, rates),
        "Targets": ("", targets),
    }
    packages = ("timm", "onnxruntime", "soundfile", "soxr")
    about = harness.environment("cpu", packages)
    harness.write_results("end_to_end", about, sections)


if __name__ == "__main__":
    main()
