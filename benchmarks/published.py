"""Compares published models here and in the library that they come from.

AST-base in the form of the hub, random weights: from a WAV file of 10 s to
probabilities, by ASTFeatureExtractor and ASTForAudioClassification of
transformers and by an AudioTagger of the same folder. A clip of 1024 frames must
give the same first: transformers pads shorter ones and attends to the padding.
Writes benchmarks/results/published.json and .md.

> python benchmarks/published.py

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import tempfile
from pathlib import Path

import harness
import soundfile as sf
import torch
from random_models import CLASSES, SIZES, make_tagger
from transformers import (
    ASTConfig,
    ASTFeatureExtractor,
    ASTForAudioClassification,
)

from speechbrain_fftp.utils.pretrained import load_ast

PEER, OURS, RATE = "transformers", "AudioTagger", 16000


def write_model(folder, size):
    """Writes an AST with random weights as a folder of transformers."""
    width, depth, heads = SIZES[size]
    torch.manual_seed(0)
    config = ASTConfig(
        hidden_size=width,
        num_hidden_layers=depth,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        num_labels=CLASSES,
    )
    model = ASTForAudioClassification(config)
    torch.nn.init.normal_(model.classifier.dense.weight, std=0.1)
    model.save_pretrained(folder)
    ASTFeatureExtractor().save_pretrained(folder)


def make_cases(folder, path):
    """Functions for the whole way by either library, and for its parts."""
    extract = ASTFeatureExtractor.from_pretrained(folder)
    peer = ASTForAudioClassification.from_pretrained(folder).eval()
    encoder, classifier = load_ast(folder)
    tagger = make_tagger(
        "smoke", embedding_model=encoder, classifier=classifier
    )
    wav = tagger.load_wav(path)[None]
    by_extractor = functools.partial(
        extract, sampling_rate=RATE, return_tensors="pt"
    )

    @torch.inference_mode()
    def by_peer(path):
        """Probabilities by transformers."""
        wav, _ = sf.read(path, dtype="float32")
        return peer(**by_extractor(wav)).logits.sigmoid()

    def by_tagger(path):
        """Probabilities by this package."""
        return tagger.tag_batch(tagger.load_wav(path))

    cases = {
        PEER: functools.partial(by_peer, path),
        OURS: functools.partial(by_tagger, path),
        "of which transformers' extractor": lambda: by_extractor(
            wav[0].numpy()
        ),
        "of which AudioTagger's features": lambda: tagger.tagger.features(wav),
    }
    return by_peer, by_tagger, cases


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=10)
    with tempfile.TemporaryDirectory() as folder:
        write_model(folder, "smoke" if args.smoke else "AST-base")
        path, full = Path(folder, "clip.wav"), Path(folder, "full.wav")
        for name, samples in ((path, 10 * RATE), (full, 400 + 1023 * 160)):
            sf.write(name, 0.1 * torch.randn(samples).numpy(), RATE)
        by_peer, by_tagger, cases = make_cases(folder, path)
        found = {PEER: [by_peer(full)], OURS: [by_tagger(full)]}
        harness.check_same(found, tolerance=1e-3)
        times = harness.compare(cases, args.rounds)
    rows = [
        {"what": name, "ms": harness.milliseconds(time), "seconds": time}
        for name, time in times.items()
    ]
    ratio = times[PEER]["median"] / times[OURS]["median"]
    goals = [harness.target("AST-base, relative to transformers", 1.5, ratio)]
    note = "Median (quartiles, rounds), float32, measured in turns. "
    sections = {"AST-base": (note + args.note, rows), "Targets": ("", goals)}
    about = harness.environment("cpu", ("transformers", "soundfile"))
    harness.write_results("published", about, sections)


if __name__ == "__main__":
    main()
