"""Compares the backends of Audio Mamba's scan on a GPU.

Writes benchmarks/results/aum_gpu.json and .md; without a GPU, it writes "not yet
measured". training_gpu.py measures training steps.

> python benchmarks/aum_gpu.py

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import importlib.util
import itertools

import harness
import torch
from selective_scan import PASSES, make_inputs, ours, step_of, transpose


def gpu_scan_rows(length, backward, bandwidth, rounds):
    """Time of each backend and its share of the memory bandwidth."""
    made = make_inputs((32, 1536, 16, length), "cuda", torch.bfloat16)
    *inputs, weight = transpose([*made, made[0].roll(1)])
    # Copies in turn, so that none is in the cache from the previous call.
    copies = [[x.clone() for x in inputs] for _ in range(4)]

    def take_turns(backend):
        function = functools.partial(ours, backend=backend)
        steps = itertools.cycle(
            [step_of(function, x, weight, backward) for x in copies]
        )
        return lambda: next(steps)()

    installed = importlib.util.find_spec("mamba_ssm")
    backends = ["triton", "torch"] + ["mamba_ssm"] * bool(installed)
    steps = {backend: take_turns(backend) for backend in backends}
    results = {n: [x.float() for x in step()] for n, step in steps.items()}
    harness.check_same(results, tolerance=2e-2)
    del results
    # The forward pass reads the inputs and writes the output; the backward
    # pass reads both (the output's gradient) and writes the inputs' gradients.
    read, written = sum(x.nbytes for x in inputs), inputs[0].nbytes
    total = 3 * read + 2 * written if backward else read + written
    rows = []
    for name, time in harness.compare(steps, rounds).items():
        busy = harness.gpu_seconds(steps[name])
        row = {"case": PASSES[backward], "L": length, "backend": name}
        row["ms"] = harness.milliseconds(time)
        row["share of limit"] = f"{total / bandwidth / time['median']:.2f}"
        row["GPU busy, ms"] = f"{1000 * busy:.3g}"
        row["share of limit while busy"] = f"{total / bandwidth / busy:.2f}"
        row["seconds"] = time
        harness.add_row(rows, row)
    return rows


def measure(args):
    """Measures all backends; returns the note and the rows."""
    source = torch.zeros(2**30, dtype=torch.uint8, device="cuda")
    copy = functools.partial(torch.zeros_like(source).copy_, source)
    time = harness.compare({"": copy})[""]["median"]
    bandwidth, rows = 2 * source.nbytes / time, []
    for length, backward in itertools.product((98, 198, 1213), (False, True)):
        rows += gpu_scan_rows(length, backward, bandwidth, args.rounds)
    note = (
        "B=32, D=1536, N=16. The limit is the time to read every input and to "
        "write every output once per pass, at the bandwidth of a large copy, "
        f"{bandwidth / 1e12:.2f} TB/s. Busy: without gaps between kernels."
    )
    return note, rows


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=10)
    about, section = {}, harness.NOT_MEASURED
    if torch.cuda.is_available():
        section = measure(args)
        about = harness.environment("cuda", ("mamba_ssm",))
    harness.write_results("aum_gpu", about, {"The scan, bfloat16": section})


if __name__ == "__main__":
    main()
