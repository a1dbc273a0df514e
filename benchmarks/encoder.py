"""The encoders: AST next to transformers', and cost as clips grow.

AST-base with random weights, the same in transformers and here; a clip of
1024 frames makes 1212 square patches (16x16, stride 10), one of 1000 frames 96
full-frequency ones (50 frames every 10). The peak is the faster of MKL's and
oneDNN's product of two float32 matrices. Writes benchmarks/results/encoder.json
and .md. Some minutes.

> python benchmarks/encoder.py

Authors
 * The speechbrain_fftp authors 2026
"""

import copy
import functools
import tempfile
from pathlib import Path

import torch
from harness import (
    add_row,
    check_same,
    compare,
    environment,
    milliseconds,
    read_options,
    target,
    write_results,
)
from onnx_export import by_onnx, make_tagger
from transformers import ASTConfig, ASTForAudioClassification

from speechbrain_fftp.inference.onnx import export_onnx
from speechbrain_fftp.inference.packed_linear import pack_linear
from speechbrain_fftp.inference.windows import BATCH_WINDOWS
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet.patching import FFTPEmbedding
from speechbrain_fftp.utils.complexity import count_macs
from speechbrain_fftp.utils.pretrained import load_ast

PEER = "transformers, 1212 patches"
SQUARE = "AST, 1212 patches"
FFTP = "AST-FFTP, 96 patches"
BF16, COMPILED = ", bfloat16", ", torch.compile"
INT8 = SQUARE + ", int8 by ONNX Runtime, features included"
PEAKS = ("product by MKL", "product by oneDNN")
RATE = 16000


def make_models(smoke):
    """Transformers' AST, ours of the same weights, and one with FFTP."""
    width, depth, heads = (64, 1, 2) if smoke else (768, 12, 12)
    torch.manual_seed(0)
    config = ASTConfig(
        hidden_size=width,
        num_hidden_layers=depth,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        num_labels=527,
    )
    peer = ASTForAudioClassification(config).eval()
    with tempfile.TemporaryDirectory() as folder:
        peer.save_pretrained(folder)
        encoder, head = load_ast(folder)
    embedding = FFTPEmbedding(128, width, patch_frames=50, stride_frames=10)
    fftp = AST(128, width, depth, heads, embedding=embedding).eval()
    plain = copy.deepcopy(encoder)
    for model in (encoder, fftp):
        pack_linear(model)  # as AudioTagger does
    return peer, encoder, head, fftp, plain


def in_bfloat16(function, *inputs):
    """Runs a function under autocast."""
    with torch.autocast("cpu", torch.bfloat16):
        return function(*inputs)


def ast_rows(models, batch, int8, args):
    """Rows of one batch size, and their values: by name, (ratio, share)."""
    peer, encoder, head, fftp, plain = models
    square = torch.randn(batch, 1024, 128)
    feats = torch.randn(batch, 1000, 128)
    size = 256 if args.smoke else 2048
    matrices = torch.randn(2, size, size)
    wavs = 0.1 * torch.randn(batch, 400 + 1023 * 160)
    tags = functools.partial
    cases = {
        PEER: lambda: peer(square).logits,
        SQUARE: lambda: head(encoder(square))[:, 0],
        SQUARE + ", products by PyTorch": tags(plain, square),
        SQUARE + BF16: tags(in_bfloat16, encoder, square),
        FFTP: tags(fftp, feats),
        FFTP + BF16: tags(in_bfloat16, fftp, feats),
        PEAKS[0]: lambda: matrices[0] @ matrices[1],
        PEAKS[1]: lambda: torch.ops.mkldnn._linear_pointwise(
            *matrices, None, "none", [], ""
        ),
    }
    if int8:
        cases[INT8] = tags(int8, wavs)
        backend = "eager" if args.smoke else "inductor"
        compiled = torch.compile(fftp, dynamic=True, backend=backend)
        compiled(feats)  # takes a minute
        cases[FFTP + COMPILED] = tags(compiled, feats)
    exact = {name: [cases[name]()] for name in (PEER, SQUARE)}
    check_same(exact, tolerance=1e-4)
    times = compare(cases, args.rounds if batch == 1 else args.rounds // 3 + 1)
    flops = dict.fromkeys(PEAKS, 2 * size**3)
    flops[SQUARE] = flops[PEER] = 2 * count_macs(encoder, square).total
    flops[FFTP] = 2 * count_macs(fftp, feats).total
    peak = max(flops[n] / times[n]["median"] for n in PEAKS)
    rows, values = [], {}
    for name, time in times.items():
        ratio = times[PEER]["median"] / time["median"]
        share = flops.get(name, 0) / time["median"] / peak
        values[name] = ratio, 100 * share
        row = {"batch": batch, "what": name, "ms": milliseconds(time)}
        row["transformers / this"] = "-" if name in PEAKS else f"{ratio:.2f}"
        row["share of the peak"] = f"{share:.0%}" if share else "-"
        row["seconds"] = time
        add_row(rows, row)
    return rows, values


def make_int8(encoder, head, folder):
    """The tagger of an encoder as int8 ONNX; the file."""
    tagger = make_tagger("AST-tiny")
    tagger.mods["embedding_model"], tagger.mods["classifier"] = encoder, head
    return export_onnx(tagger, Path(folder) / "int8.onnx", int8=True)


@torch.no_grad()
def length_rows(args):
    """Times by length of AuM on a whole clip and of AST in windows."""
    lengths = (1, 2, 3) if args.smoke else (1, 3, 10, 30, 100, 300, 600)
    torch.manual_seed(0)
    embedding = FFTPEmbedding(128, 192, patch_frames=50, stride_frames=10)
    depth = 1 if args.smoke else 24
    aum = AuM(128, 192, depth, embedding=embedding).eval()
    pack_linear(aum)
    tagger = make_tagger("AST-tiny")

    def tag(wav):
        """What AudioTagger does with a file: windows of 10 s, in batches."""
        for batch in wav.split(BATCH_WINDOWS):
            tagger.tag_batch(batch)

    models = {"AuM-tiny, whole clip": {}, "AST-tiny, windows of 10 s": {}}
    for length in lengths:
        whole, tail = divmod(length, 10)
        wav = 0.1 * torch.randn(max(whole, 1), RATE * (10 if whole else tail))
        feats = torch.randn(1, 100 * length - 2, 128)
        calls = functools.partial(aum, feats), functools.partial(tag, wav)
        for cases, call in zip(models.values(), calls):
            cases[length] = call
    rows, worst = [], []
    for name, cases in models.items():
        times = compare(cases, min(args.rounds, 5))
        took = torch.tensor([t["median"] for t in times.values()]).double()
        # A line that is least off in relative terms.
        sizes = torch.tensor(lengths).double()
        matrix = torch.stack([torch.ones_like(sizes), sizes], 1)
        ones = torch.ones(len(lengths), 1).double()
        line = torch.linalg.lstsq(matrix / took[:, None], ones).solution
        off = (took / (matrix @ line)[:, 0] - 1).tolist()
        worst.append(100 * max(map(abs, off)))
        for length, part in zip(lengths, off):
            row = {"model": name, "seconds of sound": length}
            row["ms"] = milliseconds(times[length])
            row["ms per s"] = f"{1000 * times[length]['median'] / length:.3g}"
            row["off the line"] = f"{part:+.0%}"
            row["seconds"] = times[length]
            add_row(rows, row)
    return rows, dict(zip(models, worst))


def targets(values, worst):
    """Rows of the targets."""
    same = "AST-base, square patches, speed against transformers' AST (SDPA), "
    share = "AST-base, share of the machine's float32 peak, "
    of_int8 = "half of its time is attention, which stays in float32"
    thin = "products of 98 rows reach 85 % of the peak, attention 40 %"
    soft = "attention's exponentials, GELU and normalisation are no products"
    one, eight = values[1], values[8]
    rows = [
        target(same + "batch 1", 1, one[SQUARE][0]),
        target(same + "batch 8", 1, eight[SQUARE][0]),
        target(same + "batch 1, int8", 1.6, one[INT8][0], reason=of_int8),
        target(
            "AST-base, 96 FFTP patches against transformers' AST at 1212",
            15,
            one[FFTP][0],
            reason="14 times fewer operations, on products of few rows",
        ),
    ]
    for name, why in ((SQUARE, soft), (FFTP, thin)):
        for batch, goal in ((1, 75), (8, 85)):
            work = f"{share}{name.split(', ')[1]}, batch {batch}"
            value = values[batch][name][1]
            rows.append(target(work, goal, value, " %", reason=why))
    for name, off in worst.items():
        work = f"1 s to 10 min, {name}: distance from a straight line"
        why = "short clips use the two cores less well"
        rows.append(target(work, 15, off, " %", at_least=False, reason=why))
    return rows


def main():
    """Runs what the command line asks for."""
    args = read_options(__doc__, rounds=8)
    models = make_models(args.smoke)
    with tempfile.TemporaryDirectory() as folder:
        int8 = by_onnx(make_int8(*models[1:3], folder), args.threads)
    with torch.inference_mode():
        rows, one = ast_rows(models, 1, int8, args)
        more, eight = ast_rows(models, 8, None, args)
    grown, worst = length_rows(args)
    about = environment("cpu", ("transformers", "onnxruntime"))
    note = "Median (quartiles, rounds), float32 but where said, in turns. "
    line = "off the line: from a straight line fitted over all lengths. "
    goals = targets({1: one, 8: eight}, worst)
    sections = {
        "AST-base": (note, rows + more),
        "Growing lengths": (line, grown),
        "Targets": ("", goals),
    }
    sections = {
        title: {"note": text + args.note, "environment": about, "rows": each}
        for title, (text, each) in sections.items()
    }
    write_results("encoder", sections)


if __name__ == "__main__":
    main()
