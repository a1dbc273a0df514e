"""Latency and size of models exported to ONNX, next to PyTorch.

AST-tiny and AST-base with FFTP, random weights, one clip of 10 s: PyTorch
eager, and ONNX Runtime with float32 and with int8 weights. With --model, also
how far the tags of that model's ONNX files are from PyTorch's, on real clips.
Writes benchmarks/results/onnx_export.json and .md. A few minutes; other work on
the machine distorts the times.

> python benchmarks/onnx_export.py
> python benchmarks/onnx_export.py --model results/demo/inference --clips DIR

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import functools
import statistics
import tempfile
from pathlib import Path

import onnxruntime
import torch
from harness import (
    add_row,
    check_same,
    compare,
    environment,
    milliseconds,
    write_results,
)

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_fftp.inference import AudioTagger
from speechbrain_fftp.inference.onnx import export_onnx
from speechbrain_fftp.lobes.features import DatasetNormalization, KaldiFbank
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.nnet.patching import FFTPEmbedding

CLASSES = 527
SECONDS = 10
# Width, depth, heads.
SIZES = {"AST-tiny": (192, 12, 3), "AST-base": (768, 12, 12)}


def make_tagger(size):
    """A model of AudioSet's classes with random weights."""
    width, depth, heads = SIZES[size]
    torch.manual_seed(0)
    embedding = FFTPEmbedding(128, width, patch_frames=50, stride_frames=10)
    encoder = AST(128, width, depth, heads, embedding=embedding)
    labels = CategoricalEncoder()
    labels.update_from_iterable(f"class {i}" for i in range(CLASSES))
    modules = {
        "compute_features": KaldiFbank(),
        "mean_var_norm": DatasetNormalization(),
        "embedding_model": encoder,
        "classifier": torch.nn.Linear(width, CLASSES),
    }
    hparams = {
        "label_encoder": labels,
        "sample_rate": 16000,
        "max_frames": 1024,
    }
    return AudioTagger(modules, hparams)


def by_onnx(path, threads):
    """A function from waveforms to probabilities, and nothing of torch's."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )

    def run(wavs):
        inputs = {
            "wavs": wavs.numpy(),
            "wav_lens": torch.ones(len(wavs)).numpy(),
        }
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


def latency_rows(size, threads, rounds):
    """One clip by PyTorch and by both files, in turns."""
    tagger = make_tagger(size)
    wavs = 0.1 * torch.randn(1, SECONDS * 16000)
    with tempfile.TemporaryDirectory() as folder:
        files = export_both(tagger, folder)
        cases = {"PyTorch": functools.partial(tagger.tag_batch, wavs)}
        sizes = {"PyTorch": "-"}
        for kind, path in files.items():
            name = f"ONNX Runtime, {kind}"
            cases[name] = functools.partial(by_onnx(path, threads), wavs)
            sizes[name] = megabytes(path)
        exact = {n: [f()] for n, f in cases.items() if "int8" not in n}
        check_same(exact, tolerance=1e-4)
        times = compare(cases, rounds)
    rows = []
    for name, time in times.items():
        ratio = times["PyTorch"]["median"] / time["median"]
        row = {"model": size, "by": name, "MB": sizes[name]}
        row["ms"] = milliseconds(time)
        row["PyTorch / this"] = f"{ratio:.2f}"
        row["seconds"] = time
        add_row(rows, row)
    return rows


def accuracy_rows(model, clips, threads):
    """How far a trained model's files are from PyTorch, on clips."""
    tagger = AudioTagger.from_hparams(str(Path(model).resolve()))
    longest = 16000 * SECONDS
    wavs = [tagger.load_wav(path)[None, :longest] for path in clips]
    exact = [tagger.tag_batch(wav)[0] for wav in wavs]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, path in export_both(tagger, folder).items():
            run = by_onnx(path, threads)
            found = [run(wav)[0] for wav in wavs]
            errors = [(a - b).abs().max().item() for a, b in zip(exact, found)]
            same = sum(
                int(a.argmax() == b.argmax()) for a, b in zip(exact, found)
            )
            row = {"weights": kind, "MB": megabytes(path), "clips": len(wavs)}
            row["same first tag"] = same
            row["largest difference of a probability"] = f"{max(errors):.1e}"
            row["median over clips"] = f"{statistics.median(errors):.1e}"
            add_row(rows, row)
    return rows


def main():
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--model", help="inference folder of a trained model")
    parser.add_argument("--clips", help="folder of clips, with --model")
    parser.add_argument("--note", default="", help="about the machine")
    args = parser.parse_args()
    if (args.model is None) != (args.clips is None):
        parser.error("--model and --clips go together")
    torch.set_num_threads(args.threads)
    packages = ("onnx", "onnxruntime", "onnxscript")
    about = environment("cpu", packages)
    rows = []
    for size in SIZES:
        rows += latency_rows(size, args.threads, args.rounds)
    note = (
        f"Median time (quartiles, rounds) of one clip of {SECONDS} s, features "
        "included, patches of 50 frames every 10, float32 but for int8, in "
        f"turns. {args.note}".strip()
    )
    sections = {"Latency": {"note": note, "environment": about, "rows": rows}}
    if args.model:
        clips = sorted(
            path
            for path in Path(args.clips).rglob("*")
            if path.suffix in (".flac", ".ogg", ".wav")
        )
        sections["Accuracy"] = {
            "note": "A trained model's probabilities by ONNX Runtime next to "
            "those by PyTorch, all classes.",
            "environment": about,
            "rows": accuracy_rows(args.model, clips, args.threads),
        }
    write_results("onnx_export", sections)


if __name__ == "__main__":
    main()
