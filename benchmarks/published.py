"""Compares a published model's form here with transformers, from file to tags.

AST-base with random weights, read from one Hugging Face folder by both. A clip of
1024 frames must give the same probabilities first; shorter ones are padded by
transformers. Writes benchmarks/results/published.json and .md.

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
from encoder import RATE, make_models
from random_models import make_tagger
from transformers import ASTFeatureExtractor


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=10)
    peer, encoder, head, _ = make_models(args.smoke)
    torch.nn.init.normal_(head[1].weight, std=0.1)  # clips differ
    peer.classifier.dense.weight = head[1].weight
    tagger = make_tagger("smoke", embedding_model=encoder, classifier=head)
    extractor = ASTFeatureExtractor()

    @torch.inference_mode()
    def by_peer(path):
        """Probabilities by transformers."""
        wav, rate = sf.read(path, dtype="float32")
        feats = extractor(wav, sampling_rate=rate, return_tensors="pt")
        return peer(**feats).logits.sigmoid()

    def by_tagger(path):
        """Probabilities by this package."""
        return tagger.tag_batch(tagger.load_wav(path))

    with tempfile.TemporaryDirectory() as folder:
        path, full = Path(folder, "clip.wav"), Path(folder, "full.wav")
        for name, samples in ((path, 10 * RATE), (full, 400 + 1023 * 160)):
            sf.write(name, 0.1 * torch.randn(samples).numpy(), RATE)
        cases = {"transformers": by_peer, "AudioTagger": by_tagger}
        found = {name: [case(full)] for name, case in cases.items()}
        harness.check_same(found, tolerance=1e-3)
        cases = {n: functools.partial(f, path) for n, f in cases.items()}
        times = harness.compare(cases, args.rounds)
    rows = [
        {"what": name, "ms": harness.milliseconds(time), "seconds": time}
        for name, time in times.items()
    ]
    theirs, ours = (time["median"] for time in times.values())
    work = "AST-base, 10 s from file to tags, speed relative to transformers"
    note = "Median (quartiles, rounds), float32, measured in turns. "
    sections = {
        "A published AST": (note + args.note, rows),
        "Targets": ("", [harness.target(work, 1.5, theirs / ours)]),
    }
    about = harness.environment("cpu", ["transformers"])
    harness.write_results("published", about, sections)


if __name__ == "__main__":
    main()
