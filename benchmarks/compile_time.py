"""CPU time to compile an encoder on a CPU: block by block, and whole.

Each in a process of its own, without caches: CPU seconds of a first training
step on four clips of 10 s with 196 full-frequency patches, less those of a
process whose step is not compiled. Takes about ten minutes.

> python benchmarks/compile_time.py

Authors
 * The speechbrain_fftp authors 2026
"""

import os

import harness
import torch

from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.training.compile import compile_encoder

ENCODERS = {
    "AST, 12 blocks of 192": lambda depth=12: AST(128, 192, depth, 3),
    "AuM, 24 blocks of 96": lambda depth=24: AuM(128, 96, depth),
}
WHOLE, BLOCKS = "compiled whole", "compiled in blocks"


def take_step(name, how, smoke):
    """Compiles an encoder as asked, and takes a training step."""
    encoder = ENCODERS[name](depth=1) if smoke else ENCODERS[name]()
    options = {"mode": "default", "fullgraph": True, "dynamic": False}
    if how == WHOLE:
        encoder.compile(**options)
    elif how == BLOCKS:
        compile_encoder(encoder, **options)
    encoder(torch.randn(4, 1000, 128)).sin().sum().backward()


def cpu_seconds(name, how, smoke):
    """CPU seconds of a process that takes a step."""
    words = [__file__, "--encoder", name, "--how", how]
    words += ["--smoke"] if smoke else []
    status, minutes, _ = harness.run_recipe(words)
    if status != 0:
        raise RuntimeError(f"{name}, {how}: exit status {status}")
    return 60 * minutes


def main():
    """Measures, or takes the step of a case."""
    args = harness.read_options(__doc__, threads=1, encoder="", how="")
    if args.how:
        take_step(args.encoder, args.how, args.smoke)
        return
    os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"
    # Or its compiling processes would not be counted
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
    against = {f"{x}, {BLOCKS}": f"{x}, {WHOLE}" for x in ENCODERS}
    results = harness.Results(args, "compile_time", against)
    for name in ENCODERS:
        eager = cpu_seconds(name, "eager", args.smoke)
        for how in (WHOLE, BLOCKS):

            def measure(name=name, how=how, eager=eager):
                seconds = cpu_seconds(name, how, args.smoke) - eager
                return harness.summary([seconds], "s")

            results.measure(f"{name}, {how}", measure)


if __name__ == "__main__":
    main()
