"""Compares models exported to ONNX with PyTorch: latency, size and tags.

AST-tiny and AST-base with FFTP, random weights, one clip of 10 s: PyTorch
eager, and ONNX Runtime, both in float32. With --model and --clips, also how
much that model's tags of real clips change. Writes
benchmarks/results/onnx_export.json and .md. Takes a few minutes.

> python benchmarks/onnx_export.py
> python benchmarks/onnx_export.py --model results/demo/inference --clips DIR

Authors
 * The speechbrain_fftp authors 2026
"""

import statistics
import tempfile
from pathlib import Path

import harness
import onnxruntime
import torch
from random_models import make_tagger

from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.onnx import export_onnx

SECONDS = 10


def by_onnx(path, threads):
    """A function from waveforms to probabilities that runs an ONNX file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )

    def run(wavs):
        lens = torch.ones(len(wavs)).numpy()
        inputs = {"wavs": wavs.numpy(), "wav_lens": lens}
        return torch.from_numpy(session.run(None, inputs)[0])

    return run


def megabytes(path):
    """Size of a file, for a table."""
    return f"{path.stat().st_size / 1e6:.1f}"


def latency_rows(size, args):
    """One clip by PyTorch and by ONNX Runtime, in turns."""
    tagger = make_tagger(size)
    wavs = 0.1 * torch.randn(1, SECONDS * 16000)
    with tempfile.TemporaryDirectory() as folder:
        path = export_onnx(tagger, Path(folder) / "model.onnx")
        run = by_onnx(path, args.threads)
        cases = {
            "PyTorch": lambda: tagger.tag_batch(wavs),
            "ONNX Runtime": lambda: run(wavs),
        }
        sizes = {"PyTorch": "-", "ONNX Runtime": megabytes(path)}
        found = {name: [case()] for name, case in cases.items()}
        harness.check_same(found, tolerance=1e-4)
        times = harness.compare(cases, args.rounds)
    rows = []
    for name, time in times.items():
        ratio = times["PyTorch"]["median"] / time["median"]
        row = {"model": size, "by": name, "MB": sizes[name]}
        row["ms"] = harness.milliseconds(time)
        row["PyTorch / this"] = f"{ratio:.2f}"
        row["seconds"] = time
        harness.add_row(rows, row)
    return rows


def accuracy_rows(args):
    """How much a model's probabilities of clips differ by ONNX Runtime."""
    tagger = AudioTagger.from_hparams(str(Path(args.model).resolve()))
    wavs = [
        tagger.load_wav(path)[None, : 16000 * SECONDS]
        for path in sorted(Path(args.clips).rglob("*"))
        if path.suffix in (".flac", ".ogg", ".wav")
    ]
    exact = [tagger.tag_batch(wav)[0] for wav in wavs]
    with tempfile.TemporaryDirectory() as folder:
        path = export_onnx(tagger, Path(folder) / "model.onnx")
        run = by_onnx(path, args.threads)
        pairs = [(a, run(wav)[0]) for a, wav in zip(exact, wavs)]
        size = megabytes(path)
    errors = [(a - b).abs().max().item() for a, b in pairs]
    row = {
        "MB": size,
        "clips": len(wavs),
        "same first tag": sum(int(a.argmax() == b.argmax()) for a, b in pairs),
        "largest difference of a probability": f"{max(errors):.1e}",
        "median over clips": f"{statistics.median(errors):.1e}",
    }
    rows = []
    harness.add_row(rows, row)
    return rows


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=20, model=None, clips=None)
    if (args.model is None) != (args.clips is None):
        raise SystemExit("onnx_export: give both --model and --clips, or none")
    rows = []
    for size in ("smoke",) if args.smoke else ("AST-tiny", "AST-base"):
        rows += latency_rows(size, args)
    note = (
        f"Median time (quartiles, rounds) of one clip of {SECONDS} s, including "
        "features, patches of 50 frames every 10, float32, measured in turns. "
        f"{args.note}"
    )
    sections = {"Latency": (note, rows)}
    if args.model:
        sections["Accuracy"] = (
            "Probabilities of all classes by a trained model, ONNX Runtime "
            "compared with PyTorch.",
            accuracy_rows(args),
        )
    packages = ("onnx", "onnxruntime", "onnxscript")
    about = harness.environment("cpu", packages)
    harness.write_results("onnx_export", about, sections)


if __name__ == "__main__":
    main()
