"""Compares AST with transformers' AST; measures cost as clips get longer.

AST-base with random weights, the same in transformers and here: a clip of 1024
frames has 1212 square patches (16x16, stride 10), one of 1000 frames has 96
full-frequency ones (50 frames every 10). The peak is that of the faster of
PyTorch's two libraries for float32 matrix multiplication. Writes benchmarks/results/encoder.json and .md. Takes
some minutes.

> python benchmarks/encoder.py

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import tempfile

import harness
import torch
from random_models import make_tagger
from transformers import ASTConfig, ASTForAudioClassification

from speechbrain_fftp.inference.windows import BATCH_WINDOWS
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet.patching import FFTPEmbedding
from speechbrain_fftp.pretrained import load_ast
from speechbrain_fftp.utils.complexity import count_macs

PEER = "transformers, 1212 patches"
SQUARE = "AST, 1212 patches"
FFTP = "AST-FFTP, 96 patches"
BF16, COMPILED = ", bfloat16", ", torch.compile"
PEAK = "matrix multiplication"
PEAK_ONEDNN = "matrix multiplication, oneDNN"
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
    fftp = AST(128, width, depth, heads, embedding=embedding)
    return peer, encoder.eval(), head, fftp.eval()


def in_bfloat16(function, *inputs):
    """Calls a function under autocast."""
    with torch.autocast("cpu", torch.bfloat16):
        return function(*inputs)


def ast_rows(models, batch, compiled, args):
    """Rows of one batch size, and their values: by name, (ratio, share)."""
    peer, encoder, head, fftp = models
    square = torch.randn(batch, 1024, 128)
    feats = torch.randn(batch, 1000, 128)
    size = 256 if args.smoke else 2048
    matrices = torch.randn(2, size, size)
    cases = {
        PEER: lambda: peer(square).logits,
        SQUARE: lambda: head(encoder(square))[:, 0],
        SQUARE + BF16: functools.partial(in_bfloat16, encoder, square),
        FFTP: functools.partial(fftp, feats),
        FFTP + BF16: functools.partial(in_bfloat16, fftp, feats),
        PEAK: lambda: matrices[0] @ matrices[1],
    }
    if torch.backends.mkldnn.is_available():
        cases[PEAK_ONEDNN] = lambda: torch.ops.mkldnn._linear_pointwise(
            *matrices, None, "none", [], ""
        )
    if compiled is not None:
        compiled(feats)  # takes a minute
        cases[FFTP + COMPILED] = functools.partial(compiled, feats)
    exact = {name: [cases[name]()] for name in (PEER, SQUARE)}
    harness.check_same(exact, tolerance=1e-4)
    rounds = args.rounds if batch == 1 else args.rounds // 3 + 1
    times = harness.compare(cases, rounds)
    square_flops = 2 * count_macs(encoder, square).total
    flops = {
        PEER: square_flops,
        SQUARE: square_flops,
        FFTP: 2 * count_macs(fftp, feats).total,
        PEAK: 2 * size**3,
        PEAK_ONEDNN: 2 * size**3,
    }
    peak = max(
        flops[name] / times[name]["median"]
        for name in (PEAK, PEAK_ONEDNN)
        if name in times
    )
    rows, values = [], {}
    for name, time in times.items():
        ratio = times[PEER]["median"] / time["median"]
        share = flops.get(name, 0) / time["median"] / peak
        values[name] = ratio, 100 * share
        row = {
            "batch": batch,
            "what": name,
            "ms": harness.milliseconds(time),
            "transformers / this": "-"
            if name in (PEAK, PEAK_ONEDNN)
            else f"{ratio:.2f}",
            "share of the peak": f"{share:.0%}" if share else "-",
            "seconds": time,
        }
        harness.add_row(rows, row)
    return rows, values


@torch.no_grad()
def length_rows(args):
    """Times by length of AuM on a whole clip and of AST in windows."""
    lengths = (1, 2, 3) if args.smoke else (1, 3, 10, 30, 100, 300, 600)
    torch.manual_seed(0)
    embedding = FFTPEmbedding(128, 192, patch_frames=50, stride_frames=10)
    depth = 1 if args.smoke else 24
    aum = AuM(128, 192, depth, embedding=embedding).eval()
    tagger = make_tagger("AST-tiny")

    def tag(wav):
        """Tags a file as AudioTagger does: windows of 10 s, in batches."""
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
        times = harness.compare(cases, min(args.rounds, 5))
        took = torch.tensor([t["median"] for t in times.values()]).double()
        # The line with the smallest relative errors.
        sizes = torch.tensor(lengths).double()
        matrix = torch.stack([torch.ones_like(sizes), sizes], 1)
        ones = torch.ones(len(lengths), 1).double()
        line = torch.linalg.lstsq(matrix / took[:, None], ones).solution
        off = (took / (matrix @ line)[:, 0] - 1).tolist()
        worst.append(100 * max(map(abs, off)))
        for length, part in zip(lengths, off):
            row = {"model": name, "clip, s": length}
            row["ms"] = harness.milliseconds(times[length])
            row["ms per s"] = f"{1000 * times[length]['median'] / length:.3g}"
            row["off the line"] = f"{part:+.0%}"
            row["seconds"] = times[length]
            harness.add_row(rows, row)
    return rows, dict(zip(models, worst))


def targets(values, worst):
    """Rows of the targets."""
    same = "AST-base, square patches, speed relative to transformers' AST, "
    share = "AST-base, share of the machine's float32 peak, "
    few = "torch's matmul reaches 70 % of oneDNN's, the peak"
    rest = "softmax, GELU and normalization are no matmuls"
    one, eight = values[1], values[8]
    rows = [
        harness.target(same + "batch 1", 1, one[SQUARE][0]),
        harness.target(same + "batch 8", 1, eight[SQUARE][0]),
        harness.target(
            "AST-base, 96 FFTP patches, speed relative to transformers' AST "
            "with 1212",
            15,
            one[FFTP][0],
            reason="14 times fewer operations, in matmuls with few rows",
        ),
    ]
    for name, why in ((SQUARE, rest), (FFTP, few)):
        for batch, goal in ((1, 75), (8, 85)):
            work = f"{share}{name.split(', ')[1]}, batch {batch}"
            value = values[batch][name][1]
            rows.append(harness.target(work, goal, value, " %", reason=why))
    for name, off in worst.items():
        work = f"1 s to 10 min, {name}: distance from a straight line"
        why = "short clips use the two cores less well"
        rows.append(harness.target(work, 15, off, " %", False, why))
    return rows


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=8)
    models = make_models(args.smoke)
    backend = "eager" if args.smoke else "inductor"
    compiled = torch.compile(models[-1], dynamic=True, backend=backend)
    with torch.inference_mode():
        rows, one = ast_rows(models, 1, compiled, args)
        more, eight = ast_rows(models, 8, None, args)
    grown, worst = length_rows(args)
    about = harness.environment("cpu", ("transformers",))
    note = (
        "Median (quartiles, rounds), float32 unless noted, measured in turns. "
    )
    line = "off the line: relative to a straight line fitted to all lengths. "
    sections = {
        "AST-base": (note + args.note, rows + more),
        "Growing lengths": (line + args.note, grown),
        "Targets": ("", targets({1: one, 8: eight}, worst)),
    }
    harness.write_results("encoder", about, sections)


if __name__ == "__main__":
    main()
