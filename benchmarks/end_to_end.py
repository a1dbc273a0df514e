"""Compares AST-tiny with FFTP and MobileNetV3-large from audio file to tags.

A file of 10 s at 44.1 kHz, stereo; both models have random weights, 527 classes
and the same reader, resampler and front end. Writes
benchmarks/results/end_to_end.json.

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
from random_models import CLASSES, make_tagger, read_wav

OURS = "AST-tiny FFTP, file to tags"
PEER = "MobileNetV3-large, file to tags"


class MobileNet(torch.nn.Module):
    """timm's MobileNetV3-large on spectrograms, with logits as embeddings."""

    def __init__(self):
        super().__init__()
        name = "mobilenetv3_large_100"
        self.model = timm.create_model(name, in_chans=1, num_classes=CLASSES)

    def forward(self, feats, lengths=None):
        """Maps features ``[B, T, F]`` to logits ``[B, 1, C]``."""
        return self.model(feats.unsqueeze(1)).unsqueeze(1)


def make_cases(path):
    """Functions for the whole way with either model, and for its parts."""
    tagger = make_tagger("AST-tiny")
    peer = make_tagger(
        "AST-tiny", embedding_model=MobileNet(), classifier=torch.nn.Identity()
    )
    mods, peer_mods = tagger.engine.mods, peer.engine.mods
    wav = read_wav(path)[None]
    feats = mods.mean_var_norm(mods.compute_features(wav))
    return {
        OURS: functools.partial(tagger.tag_file, path),
        PEER: functools.partial(peer.tag_file, path),
        "reading and resampling": lambda: read_wav(path),
        "features": lambda: mods.compute_features(wav),
        "AST-tiny FFTP": lambda: mods.embedding_model(feats),
        "MobileNetV3-large": lambda: peer_mods.embedding_model(feats),
    }


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=20)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        path = Path(folder) / "clip.wav"
        size = 44100 * (1 if args.smoke else 10)
        noise = 0.1 * np.random.default_rng(0).standard_normal((size, 2))
        soundfile.write(path, noise, 44100)
        times = harness.compare(make_cases(path), args.rounds)
    rows = []
    for name, time in times.items():
        row = {"what": name, "ms": harness.milliseconds(time), "seconds": time}
        harness.add_row(rows, row)
    ours, theirs = times[OURS]["median"], times[PEER]["median"]
    goals = [
        harness.target(
            "10 s of 44.1 kHz stereo, from file to tags, AST-tiny FFTP",
            20,
            1000 * ours,
            " ms",
            at_least=False,
            reason="the model and the resampling take most of it",
        ),
        harness.target(
            "the same, speed relative to MobileNetV3-large", 1, theirs / ours
        ),
    ]
    parts = "Rows without 'file to tags' are parts of it. "
    sections = {
        "A warm process": (parts + args.note, rows),
        "Targets": ("", goals),
    }
    about = harness.environment("cpu", ("timm", "soundfile", "soxr"))
    harness.write_results("end_to_end", about, sections)


if __name__ == "__main__":
    main()
