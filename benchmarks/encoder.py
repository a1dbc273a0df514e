"""Compares AST with transformers' AST.

AST-base with random weights, the same in transformers and here: a clip of 1024
frames has 1212 square patches (16x16, stride 10), one of 1000 frames has 96
full-frequency ones (50 frames every 10). Writes
benchmarks/results/encoder.json. Takes some minutes.

> python benchmarks/encoder.py

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import tempfile

import harness
import torch
from transformers import ASTConfig, ASTForAudioClassification

from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.nnet.patching import FFTPEmbedding
from speechbrain_fftp.pretrained import load_ast

PEER = "transformers, 1212 patches"
SQUARE = "AST, 1212 patches"
FFTP = "AST-FFTP, 96 patches"
COMPILED = ", torch.compile"


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


def ast_rows(models, batch, compiled, args):
    """Rows of one batch size, and speeds relative to the peer by name."""
    peer, encoder, head, fftp = models
    square = torch.randn(batch, 1024, 128)
    feats = torch.randn(batch, 1000, 128)
    cases = {
        PEER: lambda: peer(square).logits,
        SQUARE: lambda: head(encoder(square))[:, 0],
        FFTP: functools.partial(fftp, feats),
    }
    if compiled is not None:
        compiled(feats)  # takes a minute
        cases[FFTP + COMPILED] = functools.partial(compiled, feats)
    exact = {name: [cases[name]()] for name in (PEER, SQUARE)}
    harness.check_same(exact, tolerance=1e-4)
    rounds = args.rounds if batch == 1 else args.rounds // 3 + 1
    times = harness.compare(cases, rounds)
    rows, ratios = [], {}
    for name, time in times.items():
        ratios[name] = times[PEER]["median"] / time["median"]
        row = {
            "batch": batch,
            "what": name,
            "ms": harness.milliseconds(time),
            "transformers / this": f"{ratios[name]:.2f}",
            "seconds": time,
        }
        harness.add_row(rows, row)
    return rows, ratios


def targets(one, eight):
    """Rows of the targets, from the speeds with one and eight clips."""
    same = "AST-base, square patches, speed relative to transformers' AST, "
    return [
        harness.target(same + "batch 1", 1, one[SQUARE]),
        harness.target(same + "batch 8", 1, eight[SQUARE]),
        harness.target(
            "AST-base, 96 FFTP patches, speed relative to transformers' AST "
            "with 1212",
            15,
            one[FFTP],
            reason="14 times fewer operations, in matmuls with few rows",
        ),
    ]


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=8)
    models = make_models(args.smoke)
    backend = "eager" if args.smoke else "inductor"
    compiled = torch.compile(models[-1], dynamic=True, backend=backend)
    with torch.inference_mode():
        rows, one = ast_rows(models, 1, compiled, args)
        more, eight = ast_rows(models, 8, None, args)
    about = harness.environment("cpu", ("transformers",))
    note = "Median (quartiles, rounds), float32, measured in turns. "
    sections = {
        "AST-base": (note + args.note, rows + more),
        "Targets": ("", targets(one, eight)),
    }
    harness.write_results("encoder", about, sections)


if __name__ == "__main__":
    main()
