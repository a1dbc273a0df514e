"""Compares published models with transformers, from file to tags.

transformers' AST-base with random weights is compared with the same weights
here (1,212 square patches), an AST-base with 96 full-frequency patches (50
frames every 10), and a CED-tiny, in float32 and int8. A clip of 1024 frames
must have the same probabilities in transformers and here. Writes
benchmarks/results/published.json.

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
from random_models import (
    CED_TINY,
    RATE,
    make_ast,
    make_ced_modules,
    make_int8,
    make_modules,
    make_tagger,
    make_transformers_ast,
)
from transformers import ASTFeatureExtractor

from fftp_tag import AudioTagger
from speechbrain_fftp.pretrained.convert import convert_checkpoint

PEER = "AST-base, 1212 square patches, transformers"
SQUARE = "AST-base, 1212 square patches"
FFTP = "AST-base, 96 FFTP patches"
INT8 = ", int8"


def load_taggers(folder, peer, smoke, threads):
    """Our models by name, in float32 and in int8."""
    peer.save_pretrained(folder)
    ASTFeatureExtractor().save_pretrained(folder)
    path = convert_checkpoint(folder, folder / "square.onnx")
    size = "smoke" if smoke else "base"
    ced = make_ced_modules("smoke" if smoke else "tiny")
    taggers = {
        SQUARE: AudioTagger.from_pretrained(path, threads=threads),
        FFTP: make_tagger(
            folder / "fftp.onnx", make_modules(make_ast(size)), threads
        ),
        CED_TINY: make_tagger(folder / "ced.onnx", ced, threads),
    }
    int8 = {
        name + INT8: make_int8(tagger, threads)
        for name, tagger in taggers.items()
    }
    return {**taggers, **int8}


def make_peer(model):
    """A function that computes a file's probabilities with transformers."""
    extractor = ASTFeatureExtractor()

    @torch.inference_mode()
    def classify(path):
        """Probabilities of a file."""
        wav, rate = soundfile.read(path, dtype="float32")
        feats = extractor(wav, sampling_rate=rate, return_tensors="pt")
        return model(**feats).logits.sigmoid()[0]

    return classify


def make_targets(medians):
    """Rows of the targets, from seconds by name."""
    goals = {FFTP: 15, FFTP + INT8: 40, SQUARE: 1.2, SQUARE + INT8: 2.5}
    rows = [
        harness.target(
            f"{name}: file to tags, speed relative to transformers' AST-base",
            goal,
            medians[PEER] / medians[name],
        )
        for name, goal in goals.items()
    ]
    rows.append(
        harness.target(
            "CED-tiny, int8: 10 s, file to tags",
            25,
            1000 * medians[CED_TINY + INT8],
            " ms",
            at_least=False,
        )
    )
    return rows


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=10)
    model = make_transformers_ast("smoke" if args.smoke else "base")
    torch.nn.init.normal_(
        model.classifier.dense.weight, std=0.1
    )  # so that clips differ
    peer = make_peer(model)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        taggers = load_taggers(folder, model, args.smoke, args.threads)
        clip, full = folder / "clip.wav", folder / "full.wav"
        for path, samples in ((clip, 10 * RATE), (full, 400 + 1023 * 160)):
            soundfile.write(path, 0.1 * torch.randn(samples).numpy(), RATE)
        found = torch.from_numpy(taggers[SQUARE].clip_probabilities(full))
        harness.check_same({PEER: [peer(full)], SQUARE: [found]}, 1e-3)
        cases = {PEER: functools.partial(peer, clip)}
        for name, tagger in taggers.items():
            cases[name] = functools.partial(tagger.clip_probabilities, clip)
        times = harness.compare(cases, args.rounds)
    medians = {name: time["median"] for name, time in times.items()}
    rows = harness.time_rows(times)
    for row in rows:
        ratio = medians[PEER] / medians[row["what"]]
        row["transformers / this"] = f"{ratio:.2f}"
    note = "Median (quartiles, rounds), measured in turns."
    sections = {
        "Published models": (note, rows),
        "Targets": ("", make_targets(medians)),
    }
    about = harness.environment("cpu", ("transformers", "onnxruntime"))
    harness.write_results("published", about, sections)


if __name__ == "__main__":
    main()
