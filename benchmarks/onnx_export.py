"""Compares models exported to ONNX with PyTorch: latency, size and tags.

AST-tiny and AST-base with FFTP, random weights, one clip of 10 s: PyTorch
eager, and ONNX Runtime with float32 and with int8 weights. With --model and
--clips, also how much that model's tags of real clips change. Writes
benchmarks/results/onnx_export.json and .md. Takes a few minutes.

> python benchmarks/onnx_export.py
> python benchmarks/onnx_export.py --model results/demo/inference --clips DIR

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
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


def export_both(tagger, folder):
    """Files with float32 and with int8 weights."""
    return {
        "float32": export_onnx(tagger, Path(folder) / "float32.onnx"),
        "int8": export_onnx(tagger, Path(folder) / "int8.onnx", int8=True),
    }


def megabytes(path):
    """Size of a file, for a table."""
    return f"{path.stat().st_size / 1e6:.1f}"


def latency_rows(size, args):
    """One clip by PyTorch and by both files, in turns."""
    tagger = make_tagger(size)
    wavs = 0.1 * torch.randn(1, SECONDS * 16000)
    with tempfile.TemporaryDirectory() as folder:
        files = export_both(tagger, folder)
        cases = {"PyTorch": functools.partial(tagger.tag_batch, wavs)}
        sizes = {"PyTorch": "-"}
        for kind, path in files.items():
            name = f"ONNX Runtime, {kind}"
            cases[name] = functools.partial(by_onnx(path, args.threads), wavs)
            sizes[name] = megabytes(path)
        exact = {n: [f()] for n, f in cases.items() if "int8" not in n}
        harness.check_same(exact, tolerance=1e-4)
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
    """How much the probabilities of clips by a model's files differ."""
    tagger = AudioTagger.from_hparams(str(Path(args.model).resolve()))
    wavs = [
        tagger.load_wav(path)[None, : 16000 * SECONDS]
        for path in sorted(Path(args.clips).rglob("*"))
        if path.suffix in (".flac", ".ogg", ".wav")
    ]
    exact = [tagger.tag_batch(wav)[0] for wav in wavs]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, path in export_both(tagger, folder).items():
            run = by_onnx(path, args.threads)
            pairs = [(a, run(wav)[0]) for a, wav in zip(exact, wavs)]
            errors = [(a - b).abs().max().item() for a, b in pairs]
            row = {"weights": kind, "MB": megabytes(path), "clips": len(wavs)}
            row["same first tag"] = sum(
                int(a.argmax() == b.argmax()) for a, b in pairs
            )
            row["largest difference of a probability"] = f"{max(errors):.1e}"
            row["median over clips"] = f"{statistics.median(errors):.1e}"
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
        "features, patches of 50 frames every 10, float32 except for int8, "
        f"measured in turns. {args.note}"
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
