"""Compares AuM-tiny with AST-tiny, and with AuM-tiny in PyTorch.

The models have random weights and 61 full-frequency patches (20 frames every
16), and map waveforms of 10 s to probabilities on one thread. Writes
benchmarks/results/mamba.json.

> python benchmarks/mamba.py

Authors
 * The speechbrain_fftp authors 2026
"""

import tempfile
from pathlib import Path

import harness
import torch
from random_models import (
    RATE,
    make_ast,
    make_aum,
    make_int8,
    make_modules,
    make_tagger,
)

from speechbrain_fftp.lobes.tagger import classify, extract_features

AST, AUM, TORCH = "AST-tiny", "AuM-tiny", "AuM-tiny, PyTorch"
PATCH, STRIDE = 20, 16
THREADS = 1


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=20)
    torch.set_num_threads(THREADS)
    size = "smoke" if args.smoke else "tiny"
    models = {
        AST: make_modules(make_ast(size, PATCH, STRIDE)),
        AUM: make_modules(make_aum(size, PATCH, STRIDE)),
    }
    wavs = 0.1 * torch.randn(1, 10 * RATE)
    cases = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, modules in models.items():
            path = Path(folder, f"{name}.onnx")
            tagger = make_tagger(path, modules, THREADS)
            for kind, form in (
                ("", tagger),
                (", int8", make_int8(tagger, THREADS)),
            ):
                cases[name + kind] = lambda model=form.model: (
                    model.probabilities(wavs.numpy())
                )
        peer = torch.nn.ModuleDict(models[AUM]).eval()
        cases[TORCH] = lambda: classify(
            peer.classifier, peer.embedding_model(*extract_features(peer, wavs))
        )
        with torch.inference_mode():
            same = {
                TORCH: [cases[TORCH]().sigmoid()],
                AUM: [torch.from_numpy(cases[AUM]())],
            }
            harness.check_same(same, tolerance=1e-3)
            times = harness.compare(cases, args.rounds)
    rows = harness.time_rows(times)
    medians = {name: time["median"] for name, time in times.items()}
    targets = [
        harness.target(
            "AuM-tiny, 61 FFTP patches, one thread: time of AST-tiny's",
            2,
            medians[AUM] / medians[AST],
            at_least=False,
            reason="a scan has one step after the other",
        ),
        harness.target(
            "the same, speed relative to PyTorch",
            1,
            medians[TORCH] / medians[AUM],
        ),
    ]
    note = "Median (quartiles, rounds), measured in turns."
    sections = {"AuM and AST": (note, rows), "Targets": ("", targets)}
    about = harness.environment("cpu", ("onnxruntime",))
    harness.write_results("mamba", about, sections)


if __name__ == "__main__":
    main()
