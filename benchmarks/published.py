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
import soundfile as sf
import torch
from encoder import make_models
from random_models import make_ced_tagger, read_wav
from transformers import ASTFeatureExtractor

from speechbrain_fftp.inference import AudioTagger

RATE = 16000


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=10)
    peer, *_ = make_models(args.smoke)
    torch.nn.init.normal_(peer.classifier.dense.weight, std=0.1)  # clips differ
    extractor = ASTFeatureExtractor()
    ced = make_ced_tagger()

    @torch.inference_mode()
    def by_peer(path):
        """Probabilities by transformers."""
        wav, rate = sf.read(path, dtype="float32")
        feats = extractor(wav, sampling_rate=rate, return_tensors="pt")
        return peer(**feats).logits.sigmoid()

    with tempfile.TemporaryDirectory() as folder:
        peer.save_pretrained(folder)
        extractor.save_pretrained(folder)
        ours = AudioTagger.from_pretrained(folder)
        path, full = Path(folder, "clip.wav"), Path(folder, "full.wav")
        for name, samples in ((path, 10 * RATE), (full, 400 + 1023 * 160)):
            sf.write(name, 0.1 * torch.randn(samples).numpy(), RATE)
        cases = {"AST-base, transformers": by_peer}
        cases["AST-base"] = lambda path: ours.tag_batch(read_wav(path))
        found = {name: [case(full)] for name, case in cases.items()}
        harness.check_same(found, tolerance=1e-3)
        cases["CED-tiny"] = lambda path: ced.tag_batch(read_wav(path))
        cases = {n: functools.partial(f, path) for n, f in cases.items()}
        times = harness.compare(cases, args.rounds)
    rows = [
        {"what": name, "ms": harness.milliseconds(x), "seconds": x}
        for name, x in times.items()
    ]
    theirs, ours, tiny = (time["median"] for time in times.values())
    work = "AST-base, 10 s from file to tags, speed relative to transformers"
    why = "both are near this CPU's limit in float32"
    targets = [harness.target(work, 1.5, theirs / ours, reason=why)]
    work = "CED-tiny, 10 s from file to tags"
    targets += [harness.target(work, 25, 1000 * tiny, " ms", False)]
    note = "Median (quartiles, rounds), measured in turns. " + args.note
    sections = {"Published models": (note, rows)}
    sections["Targets"] = "", targets
    packages = harness.environment("cpu", ["transformers"])
    harness.write_results("published", packages, sections)


if __name__ == "__main__":
    main()
