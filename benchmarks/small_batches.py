"""Compares AuM with AST, other Mambas and a lower bound on one short clip.

AuM-tiny and AST-tiny (width 192, 24 and 12 blocks) have about the same number
of multiply-accumulates. transformers' MambaModel of the same width and depth
runs in one direction only. The floor is what AuM cannot leave out: its linear
layers, and one exponential for each channel, state, step and direction, in one
call of torch.exp2 for each layer. Writes benchmarks/results/small_batches.json.

> python benchmarks/small_batches.py

Authors
 * The speechbrain_fftp authors 2026
"""

import functools

import harness
import torch
from transformers import MambaConfig, MambaModel

from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet.patching import FFTPEmbedding
from speechbrain_fftp.utils.complexity import count_macs

AST_TINY, AUM_TINY = "AST-tiny", "AuM-tiny"
FLOOR = ("linear layers of AuM-tiny", "exponentials of AuM-tiny")


def make_cases(patches, smoke):
    """Functions of a clip of so many patches, and MACs, by name."""
    width, blocks = (64, 1) if smoke else (192, 12)
    torch.manual_seed(0)
    embedding = functools.partial(FFTPEmbedding, 128, width, 10, 10)
    feats = torch.randn(1, 10 * patches, 128)
    models = {
        AST_TINY: AST(128, width, blocks, width // 64, embedding()),
        AUM_TINY: AuM(128, width, 2 * blocks, embedding=embedding()),
    }
    cases = {k: functools.partial(m.eval(), feats) for k, m in models.items()}
    macs = {k: count_macs(m, feats).total for k, m in models.items()}
    x = torch.randn(1, patches + 1, width)
    config = {"hidden_size": width, "num_hidden_layers": 2 * blocks}
    peer = MambaModel(MambaConfig(**config, vocab_size=8)).eval()
    cases["transformers' Mamba"] = functools.partial(
        peer, inputs_embeds=x, use_cache=False
    )
    layers = [
        (layer, torch.randn(1, patches + 1, layer.in_features))
        for layer in models[AUM_TINY].modules()
        if isinstance(layer, torch.nn.Linear)
    ]
    states = torch.randn(2, patches + 1, 16, 2 * width)
    powers = torch.empty_like(states)
    cases[FLOOR[0]] = lambda: [layer(inputs) for layer, inputs in layers]
    cases[FLOOR[1]] = lambda: [
        torch.exp2(states, out=powers) for _ in range(2 * blocks)
    ]
    return cases, macs


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=10)
    rows, values = [], {}
    for patches in (20, 60, 100):
        cases, macs = make_cases(patches, args.smoke)
        for threads in (1, args.threads):
            torch.set_num_threads(threads)
            with torch.inference_mode():
                times = harness.compare(cases, args.rounds)
            ast = times[AST_TINY]["median"]
            for name, time in times.items():
                values[patches, threads, name] = time["median"] / ast
                count = f"{macs[name] / 1e6:.0f}" if name in macs else "-"
                row = {"patches": patches, "threads": threads}
                row.update({"what": name, "MMACs": count})
                row["ms"] = harness.milliseconds(time)
                row["this / AST-tiny"] = f"{time['median'] / ast:.2f}"
                harness.add_row(rows, {**row, "seconds": time})
    floor = sum(values[60, 1, name] for name in FLOOR)
    target = harness.target(
        "one clip of 60 FFTP patches on one thread, AuM-tiny, time relative to "
        "AST-tiny",
        2,
        values[60, 1, AUM_TINY],
        at_least=False,
        reason=f"linear layers and exponentials alone take {floor:.2g}x",
    )
    note = "Median (quartiles, rounds), float32, measured in turns. "
    sections = {
        "One clip": (note + args.note, rows),
        "Targets": ("", [target]),
    }
    about = harness.environment("cpu", ("transformers",))
    harness.write_results("small_batches", about, sections)


if __name__ == "__main__":
    main()
