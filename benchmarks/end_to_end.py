"""From an audio file to its tags: AST-tiny with FFTP and MobileNetV3-large.

A file of 10 s at 44.1 kHz, stereo; both models have random weights, 527 classes
and the same reader, resampler and front end. Also the first tag of a process.
Writes benchmarks/results/end_to_end.json and .md.

> python benchmarks/end_to_end.py

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import statistics
import tempfile
from pathlib import Path

import tagging
import timm
import torch
from harness import (
    add_row,
    compare,
    environment,
    milliseconds,
    read_options,
    target,
    write_results,
)
from onnx_export import CLASSES, make_tagger

from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.windows import audio_blocks

OURS = "AST-tiny FFTP, file to tags"
PEER = "MobileNetV3-large, file to tags"


class MobileNet(torch.nn.Module):
    """timm's MobileNetV3-large on a spectrogram, in an encoder's place."""

    def __init__(self):
        super().__init__()
        name = "mobilenetv3_large_100"
        self.model = timm.create_model(name, in_chans=1, num_classes=CLASSES)

    def forward(self, feats, wav_lens=None):
        """Features ``[B, T, F]`` -> logits ``[B, 1, C]``."""
        return self.model(feats.unsqueeze(1)).unsqueeze(1)


def make_peer(tagger):
    """A tagger that differs in its model alone."""
    modules = {**tagger.mods, "embedding_model": MobileNet()}
    modules["classifier"] = torch.nn.Identity()
    return AudioTagger(modules, vars(tagger.hparams))


def make_cases(tagger, peer, path):
    """The whole way with either model, and its parts."""
    wav = tagger.load_wav(path)[None]
    feats = tagger.mods.mean_var_norm(tagger.mods.compute_features(wav))
    return {
        OURS: functools.partial(tagger.tag_file, path),
        PEER: functools.partial(peer.tag_file, path),
        "reading and resampling": lambda: list(audio_blocks(path, 16000)),
        "features": lambda: tagger.mods.compute_features(wav),
        "AST-tiny FFTP": lambda: tagger.mods.embedding_model(feats),
        "MobileNetV3-large": lambda: peer.mods.embedding_model(feats),
    }


def first_tags(folder, path, args):
    """Rows of the time from a process's start to its first tag; the median."""
    model = tagging.write_model(folder)
    runs = [
        tagging.measure(model, path, "tag_file", args.threads)
        for _ in range(1 if args.smoke else 5)
    ]
    for run in runs:
        run["imports"] = run["process"] - run["load"] - run["work"]
    rows = []
    for key, what in (
        ("process", "all: start of Python to its end"),
        (
            "imports",
            "Python and its imports, PyTorch and SpeechBrain above all",
        ),
        ("load", "loading the model"),
        ("work", "the first file"),
    ):
        values = [run[key] for run in runs]
        row = {"what": what, "s": f"{statistics.median(values):.2f}"}
        row["least"] = f"{min(values):.2f}"
        row["seconds"] = {str(n): value for n, value in enumerate(values)}
        add_row(rows, row)
    return rows, statistics.median(run["process"] for run in runs)


def main():
    """Runs what the command line asks for."""
    args = read_options(__doc__, rounds=20)
    tagger = make_tagger("AST-tiny")
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        path = Path(folder) / "clip.wav"
        tagging.write_noise(path, 1 if args.smoke else 10)
        cases = make_cases(tagger, make_peer(tagger), path)
        times = compare(cases, args.rounds)
        first, start = first_tags(Path(folder), path, args)
    rows = []
    for name, time in times.items():
        row = {"what": name, "ms": milliseconds(time), "seconds": time}
        add_row(rows, row)
    ours, theirs = times[OURS]["median"], times[PEER]["median"]
    goals = [
        target(
            "10 s of 44.1 kHz stereo, file in, tags out, AST-tiny FFTP",
            20,
            1000 * ours,
            " ms",
            at_least=False,
            reason="the model and the resampling take most of it",
        ),
        target("the same, speed against MobileNetV3-large", 1, theirs / ours),
        target(
            "first tag after the start of a process",
            4,
            start,
            " s",
            at_least=False,
            reason="PyTorch and SpeechBrain are imported nearly all the time",
        ),
    ]
    about = environment("cpu", ("timm", "soundfile", "soxr"))
    notes = {
        "A warm process": "The encoder alone, features alone: parts of it. ",
        "The first tag": "Each run in a process of its own. ",
        "Targets": "",
    }
    sections = {
        title: {"note": notes[title] + args.note, "environment": about}
        for title in notes
    }
    for title, each in zip(notes, (rows, first, goals)):
        sections[title]["rows"] = each
    write_results("end_to_end", sections)


if __name__ == "__main__":
    main()
