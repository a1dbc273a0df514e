"""Times tagging of audio files, against transformers and MobileNetV3-large.

Models have random weights and 527 classes. From file to tags:

* 10 s at 16 kHz: transformers' AST-base, the same weights here, and an AST-base
  with full-frequency patches (50 frames every 10), also in int8. A clip of 1024 frames must have the same probabilities in transformers and here;
* 10 s of 44.1 kHz stereo: AST-tiny with the same patches, and timm's
  MobileNetV3-large with the same front end, exported in the same way;
* 200 files of 1 s, in threads.

From samples of 10 s to probabilities, on one thread: AST-tiny and AuM-tiny with
61 full-frequency patches (20 frames every 16).

> python benchmarks/tagging.py

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
from random_models import (
    CLASSES,
    RATE,
    make_ast,
    make_aum,
    make_int8,
    make_modules,
    make_tagger,
    make_transformers_ast,
)
from transformers import ASTFeatureExtractor

from fftp_tag import AudioTagger
from fftp_tag.parallel import in_order
from speechbrain_fftp.pretrained.convert import convert_checkpoint

PEER = "10 s, AST-base, 1212 square patches, transformers"
SQUARE = "10 s, AST-base, 1212 square patches"
FFTP = "10 s, AST-base, 96 FFTP patches"
STEREO = "10 s of 44.1 kHz stereo, AST-tiny, 96 FFTP patches"
MOBILENET = "10 s of 44.1 kHz stereo, MobileNetV3-large"
FILES = "200 files of 1 s, AST-tiny, 96 FFTP patches"
TINY = "samples of 10 s, one thread, AST-tiny, 61 FFTP patches"
MAMBA = "samples of 10 s, one thread, AuM-tiny, 61 FFTP patches"
INT8 = ", int8"
AGAINST = {
    **dict.fromkeys((FFTP, FFTP + INT8, SQUARE, SQUARE + INT8), PEER),
    STEREO: MOBILENET,
    MAMBA: TINY,
}


class MobileNet(torch.nn.Module):
    """timm's MobileNetV3-large on spectrograms, with logits as embeddings."""

    def __init__(self):
        super().__init__()
        name = "mobilenetv3_large_100"
        self.model = timm.create_model(name, in_chans=1, num_classes=CLASSES)

    def forward(self, feats, lengths=None):
        """Maps features ``[B, T, F]`` to logits ``[B, 1, C]``."""
        return self.model(feats.unsqueeze(1)).unsqueeze(1)


def write_noise(path, seconds, rate=RATE, channels=1):
    """Writes a file of noise."""
    shape = round(seconds * rate), channels
    noise = 0.1 * np.random.default_rng(0).standard_normal(shape)
    soundfile.write(path, noise, rate)
    return path


def make_transformers(folder, size):
    """transformers' AST as a function of a file; saves it in the folder."""
    model = make_transformers_ast(size)
    weight = model.classifier.dense.weight
    torch.nn.init.normal_(weight, std=0.1)  # so that clips differ
    extractor = ASTFeatureExtractor()
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)

    @torch.inference_mode()
    def classify(path):
        """Probabilities of a file."""
        wav, rate = soundfile.read(path, dtype="float32")
        feats = extractor(wav, sampling_rate=rate, return_tensors="pt")
        return model(**feats).logits.sigmoid()[0]

    return classify


def make_cases(folder, args):
    """Functions by what they do."""
    base, tiny = ("smoke", "smoke") if args.smoke else ("base", "tiny")
    make = functools.partial(make_tagger, threads=args.threads)
    peer = make_transformers(folder, base)
    square = convert_checkpoint(folder, folder / "square.onnx")
    ast = make_modules(make_ast(tiny))
    mobilenet = {
        **ast,
        "embedding_model": MobileNet(),
        "classifier": torch.nn.Identity(),
    }
    fftp = make_modules(make_ast(base))
    taggers = {
        SQUARE: AudioTagger.from_pretrained(square, threads=args.threads),
        FFTP: make(folder / "fftp.onnx", fftp),
    }
    for name, tagger in tuple(taggers.items()):
        taggers[name + INT8] = make_int8(tagger, args.threads)
    full = write_noise(folder / "full.wav", (400 + 1023 * 160) / RATE)
    found = taggers[SQUARE].clip_probabilities(full)
    np.testing.assert_allclose(found, peer(full), atol=1e-3)
    clip = write_noise(folder / "clip.wav", 10)
    cases = {PEER: functools.partial(peer, clip)}
    for name, tagger in taggers.items():
        cases[name] = functools.partial(tagger.clip_probabilities, clip)
    stereo = write_noise(folder / "stereo.wav", 10, 44100, 2)
    ours = make(folder / "tiny.onnx", ast)
    mobilenet = make(folder / "mobilenet.onnx", mobilenet)
    cases[STEREO] = functools.partial(ours.tag_file, stereo)
    cases[MOBILENET] = functools.partial(mobilenet.tag_file, stereo)
    files = [write_noise(folder / f"{n}.wav", 1) for n in range(200)]
    cases[FILES] = lambda: list(in_order(ours.tag_file, files))
    wavs = 0.1 * torch.randn(1, 10 * RATE).numpy()
    for name, make_encoder in ((TINY, make_ast), (MAMBA, make_aum)):
        path = folder / f"{make_encoder.__name__}.onnx"
        modules = make_modules(make_encoder(tiny, (20, 16)))
        model = make_tagger(path, modules, threads=1).model
        cases[name] = functools.partial(model.probabilities, wavs)
    return cases


def main():
    """Measures and stores the results."""
    args = harness.read_options(__doc__)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        cases = make_cases(Path(folder), args)
        rows = harness.compare(cases, args)
    packages = ("transformers", "timm", "onnxruntime", "soundfile", "soxr")
    harness.Results(args, "tagging", AGAINST, packages).add(rows)


if __name__ == "__main__":
    main()
