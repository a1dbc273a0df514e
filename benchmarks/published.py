"""Compares published models here with transformers, from file to tags.

AST-base with random weights, read from one folder by both: a clip of 1024
frames must give the same probabilities. Beside it, a CED-tiny with random
weights. Writes benchmarks/results/published.json.

> python benchmarks/published.py

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import tempfile
from pathlib import Path

import harness
import soundfile
import torch
from encoder import make_models
from random_models import CED_TINY, RATE, make_ced_modules, make_tagger
from transformers import ASTFeatureExtractor

from fftp_tag import AudioTagger
from speechbrain_fftp.export import convert

PEER, OURS = "AST-base, transformers", "AST-base"


def load_models(folder, smoke, threads):
    """Functions from the path of a file to probabilities, by name."""
    peer, *_ = make_models(smoke)
    torch.nn.init.normal_(peer.classifier.dense.weight, std=0.1)  # clips differ
    peer.save_pretrained(folder)
    extractor = ASTFeatureExtractor()
    extractor.save_pretrained(folder)
    path = convert(folder, folder / "ast.onnx")
    ours = AudioTagger.from_pretrained(path, threads=threads)
    modules = make_ced_modules("smoke" if smoke else "tiny")
    ced = make_tagger(folder / "ced.onnx", modules, threads)

    @torch.inference_mode()
    def by_peer(path):
        """Probabilities by transformers."""
        wav, rate = soundfile.read(path, dtype="float32")
        feats = extractor(wav, sampling_rate=rate, return_tensors="pt")
        return peer(**feats).logits.sigmoid()[0]

    return {
        PEER: by_peer,
        OURS: ours.clip_probabilities,
        CED_TINY: ced.clip_probabilities,
    }


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=10)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        models = load_models(folder, args.smoke, args.threads)
        clip, full = folder / "clip.wav", folder / "full.wav"
        for path, samples in ((clip, 10 * RATE), (full, 400 + 1023 * 160)):
            soundfile.write(path, 0.1 * torch.randn(samples).numpy(), RATE)
        same = {PEER: [models[PEER](full)]}
        same[OURS] = [torch.from_numpy(models[OURS](full))]
        harness.check_same(same, tolerance=1e-3)
        cases = {
            name: functools.partial(model, clip)
            for name, model in models.items()
        }
        times = harness.compare(cases, args.rounds)
    rows = [
        {"what": name, "ms": harness.milliseconds(time), "seconds": time}
        for name, time in times.items()
    ]
    medians = {name: time["median"] for name, time in times.items()}
    targets = [
        harness.target(
            "AST-base, 10 s from file to tags, speed relative to transformers",
            1.5,
            medians[PEER] / medians[OURS],
            reason="ONNX Runtime takes longer than PyTorch for 1,212 tokens",
        ),
        harness.target(
            "CED-tiny, 10 s from file to tags",
            25,
            1000 * medians[CED_TINY],
            " ms",
            at_least=False,
        ),
    ]
    note = "Median (quartiles, rounds), measured in turns. " + args.note
    sections = {"Published models": (note, rows), "Targets": ("", targets)}
    about = harness.environment("cpu", ("transformers", "onnxruntime"))
    harness.write_results("published", about, sections)


if __name__ == "__main__":
    main()
