"""The first compiled training step of an encoder on a new machine.

Of AST-base or AuM-base, whose blocks are compiled, on 12 clips of 10 s with 196
full-frequency patches, in bfloat16: milliseconds of a step in eager mode, seconds
of the first compiled step, milliseconds of later ones, and a GPU's peak memory.
Each is stored at once. With --smoke, a tiny model runs on a CPU.

> timeout 120 python benchmarks/first_step.py --encoder AST --out DIR

Authors
 * The speechbrain_fftp authors 2026
"""

import harness
import torch
from random_models import CLASSES, make_ast, make_aum
from torch.nn.functional import binary_cross_entropy_with_logits

from speechbrain_fftp.training.compile import compile_encoder

MAKE = {"AST": make_ast, "AuM": make_aum}
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
BATCH, FRAMES = 12, 1000


class Step:
    """A training step: forward, backward pass and optimiser."""

    def __init__(self, encoder, batch):
        self.encoder = encoder.to(DEVICE)
        self.head = torch.nn.Linear(encoder.embed_dim, CLASSES, device=DEVICE)
        weights = [*encoder.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.AdamW(weights, lr=1e-5, fused=True)
        self.feats = torch.randn(batch, FRAMES, 128, device=DEVICE)
        self.targets = torch.rand(batch, CLASSES, device=DEVICE).round()

    def __call__(self):
        with torch.autocast(DEVICE, torch.bfloat16):
            embedding = self.encoder(self.feats)
        logits = self.head(embedding.float()).squeeze(1)
        binary_cross_entropy_with_logits(logits, self.targets).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


def main():
    """Measures, and stores each row at once."""
    args = harness.read_options(__doc__, encoder="AST", rounds=5)
    size, batch = ("smoke", 2) if args.smoke else ("base", BATCH)
    label = f"{args.encoder}-{size}, {batch} clips, 196 FFTP patches"
    eager, compiled = f"{label}, eager", f"{label}, compiled"
    results = harness.Results(
        args,
        f"first_step_{args.encoder}",
        {compiled: eager},
        device=DEVICE,
    )
    step = Step(MAKE[args.encoder](size, (25, 5)), batch)

    def take_step():
        """Seconds of the first step, which compiles the blocks."""
        compile_encoder(
            step.encoder, mode="default", fullgraph=False, dynamic=False
        )
        return harness.summary([harness.milliseconds(step) / 1000], "s")

    def peak_memory():
        """Of all before."""
        peak = torch.cuda.max_memory_allocated() / 2**30
        return harness.summary([peak], "GiB")

    def time_step():
        return harness.compare({"": step}, args)[""]

    results.measure(eager, time_step)
    results.measure(f"{label}, first compiled step", take_step)
    results.measure(compiled, time_step)
    if DEVICE == "cuda":
        results.measure(f"{label}, peak memory", peak_memory)


if __name__ == "__main__":
    main()
