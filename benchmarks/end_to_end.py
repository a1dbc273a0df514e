"""Times tagging of audio files, against MobileNetV3-large and PyTorch.

AST-tiny with FFTP and timm's MobileNetV3-large have random weights, 527 classes
and the same front end, and are exported in the same way. Measures one file of
10 s at 44.1 kHz, stereo; 200 files of 1 s at 16 kHz, with ``tag_files`` and one
by one with the same model in PyTorch; and an hour of 44.1 kHz stereo, with time
steps, in a separate process. Also resamples 10 s at 44.1 kHz with each quality
of soxr. Writes benchmarks/results/end_to_end.json.

> python benchmarks/end_to_end.py

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import sys
import tempfile
from pathlib import Path

import harness
import numpy as np
import soundfile
import soxr
import timm
import torch
from random_models import (
    CLASSES,
    LABELS,
    RATE,
    make_ast,
    make_modules,
    make_tagger,
)
from startup import run_command

from fftp_tag.tag.events import rank_tags
from speechbrain_fftp.dataio.audio import read_audio
from speechbrain_fftp.lobes.frame_classifier import FrameClassifier, FrameTagger
from speechbrain_fftp.lobes.tagger import classify, extract_features

OURS = "AST-tiny FFTP, file to tags"
PEER = "MobileNetV3-large, file to tags"
MANY, TORCH = "tag_files", "PyTorch"
FILES = 200
HOUR = 3600
ANALYZE = """
import sys
from fftp_tag import AudioTagger

found = AudioTagger.from_pretrained(sys.argv[1]).analyze(sys.argv[2])
print(found.tags(), found.events(threshold=0.999))
"""


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
    """Writes a file of noise that repeats every 10 s."""
    rng = np.random.default_rng(0)
    noise = 0.1 * rng.standard_normal((min(seconds, 10) * rate, channels))
    with soundfile.SoundFile(path, "w", rate, channels) as file:
        for _ in range(max(seconds // 10, 1)):
            file.write(noise)
    return path


def time_file(tagger, peer, path, rounds):
    """Times tagging a file with either model, and its parts."""
    wavs = read_audio(path, RATE)[None]
    cases = {
        OURS: functools.partial(tagger.tag_file, path),
        PEER: functools.partial(peer.tag_file, path),
        "reading and resampling": lambda: read_audio(path, RATE),
        "features and AST-tiny FFTP": lambda: tagger.model.probabilities(wavs),
        "features and MobileNetV3-large": lambda: peer.model.probabilities(
            wavs
        ),
    }
    return harness.compare(cases, rounds)


def time_files(tagger, modules, paths, rounds):
    """Times tagging many files."""
    modules = torch.nn.ModuleDict(modules).eval()

    @torch.inference_mode()
    def by_torch():
        """Tags of each file."""
        for path in paths:
            wav = torch.from_numpy(read_audio(path, RATE))
            features = extract_features(modules, wav[None])
            embeddings = modules.embedding_model(*features)
            logits = classify(modules.classifier, embeddings)
            rank_tags(logits.sigmoid()[0].numpy(), LABELS, top_k=5)

    return harness.compare(
        {MANY: lambda: list(tagger.tag_files(paths)), TORCH: by_torch}, rounds
    )


def time_resampling(rounds):
    """Times resampling with each quality of soxr; returns the rows."""
    noise = np.random.default_rng(0).standard_normal(441000, np.float32)
    cases = {
        quality: functools.partial(soxr.resample, noise, 44100, RATE, quality)
        for quality in ("LQ", "MQ", "HQ", "VHQ")
    }
    return harness.time_rows(harness.compare(cases, rounds))


def time_hour(folder, smoke):
    """Seconds and peak MiB of a process that analyses a long file."""
    encoder = make_ast("smoke" if smoke else "tiny")
    classifier = FrameClassifier(encoder.embed_dim, CLASSES)
    modules = {
        **make_modules(encoder, torch.nn.Identity()),
        "embedding_model": FrameTagger(encoder, classifier),
    }
    tagger = make_tagger(folder / "steps.onnx", modules)
    path = write_noise(folder / "hour.wav", 20 if smoke else HOUR, 44100, 2)
    command = [sys.executable, "-c", ANALYZE, tagger.model.path, path]
    return run_command(command, folder)


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=20)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        modules = make_modules(make_ast("smoke" if args.smoke else "tiny"))
        tagger = make_tagger(folder / "ast.onnx", modules, args.threads)
        peer = make_tagger(
            folder / "peer.onnx",
            {
                **modules,
                "embedding_model": MobileNet(),
                "classifier": torch.nn.Identity(),
            },
            args.threads,
        )
        path = folder / "clip.wav"
        write_noise(path, 1 if args.smoke else 10, 44100, channels=2)
        one = time_file(tagger, peer, path, args.rounds)
        paths = [
            write_noise(folder / f"{number}.wav", 1, RATE, channels=1)
            for number in range(4 if args.smoke else FILES)
        ]
        many = time_files(tagger, modules, paths, args.rounds)
        hour, memory = time_hour(folder, args.smoke)
    rates = [
        {
            **row,
            "files a second": f"{len(paths) / row['seconds']['median']:.0f}",
        }
        for row in harness.time_rows(many)
    ]
    ours = one[OURS]["median"]
    targets = [
        harness.target(
            "10 s of 44.1 kHz stereo, from file to tags, AST-tiny FFTP",
            20,
            1000 * ours,
            " ms",
            at_least=False,
        ),
        harness.target(
            "the same, speed relative to MobileNetV3-large",
            1,
            one[PEER]["median"] / ours,
        ),
        harness.target(
            f"{FILES} files of 1 s, AST-tiny FFTP, speed relative to PyTorch",
            1.3,
            many[TORCH]["median"] / many[MANY]["median"],
        ),
        harness.target(
            "an hour of 44.1 kHz stereo, AST-tiny FFTP, tags and time steps",
            10,
            hour,
            " s",
            at_least=False,
        ),
        harness.target(
            "the same, peak memory", 300, memory, " MiB", at_least=False
        ),
    ]
    parts = "Rows without 'file to tags' are parts of it. "
    sections = {
        "A warm process": (parts, harness.time_rows(one)),
        f"{FILES} files of 1 s": ("", rates),
        "Resampling": ("", time_resampling(args.rounds)),
        "Targets": ("", targets),
    }
    packages = ("timm", "onnxruntime", "soundfile", "soxr")
    about = harness.environment("cpu", packages)
    harness.write_results("end_to_end", about, sections)


if __name__ == "__main__":
    main()
