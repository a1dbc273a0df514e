"""Compares time and memory of the selective scan with other implementations.

On a CPU: the published step-by-step formulation and mambapy's parallel scan.
Writes benchmarks/results/selective_scan.json. Takes about ten minutes, most of
it for the reference's backward pass.

> pip install -c constraints.txt -e ".[bench]"
> python benchmarks/selective_scan.py --rounds 20

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import itertools

import harness
import torch
from torch.nn.functional import silu, softplus

from speechbrain_fftp.nnet.selective_scan import selective_scan

PASSES = ("forward", "forward and backward")


def make_inputs(size, device="cpu", dtype=torch.float32):
    """Inputs of a scan, channels last: u, delta, A, B, C, D, z, delta_bias."""
    batch, channels, states, length = size
    generator = torch.Generator().manual_seed(0)
    randn = functools.partial(torch.randn, generator=generator)
    step = torch.logspace(-3, -1, channels)
    A = torch.arange(1.0, states + 1) * (0.2 * randn(channels, states)).exp()
    inputs = [
        randn(batch, length, channels).to(dtype),
        (0.5 * randn(batch, length, channels)).to(dtype),
        -A,
        randn(batch, length, states).to(dtype),
        randn(batch, length, states).to(dtype),
        randn(channels),
        randn(batch, length, channels).to(dtype),
        step.expm1().log(),
    ]
    return [x.to(device) for x in inputs]


def reference(u, delta, A, B, C, D, z, delta_bias):
    """The published scan: all factors at once, then step by step."""
    delta = softplus(delta + delta_bias[:, None])
    decay = torch.exp(torch.einsum("bdl,dn->bdln", delta, A))
    drive = torch.einsum("bdl,bnl,bdl->bdln", delta, B, u)
    state = u.new_zeros(len(u), *A.shape)
    outputs = []
    for i in range(u.shape[2]):
        state = decay[:, :, i] * state + drive[:, :, i]
        outputs.append(torch.einsum("bdn,bn->bd", state, C[:, :, i]))
    return (torch.stack(outputs, 2) + D[:, None] * u) * silu(z)


def mambapy(x, delta, A, B, C, D, z, delta_bias):
    """The scan as in mambapy's block, whose tensors are ``[B, L, D]``."""
    from mambapy.pscan import pscan

    delta = softplus(delta + delta_bias)
    decay = torch.exp(delta.unsqueeze(-1) * A)
    drive = delta.unsqueeze(-1) * B.unsqueeze(2) * x.unsqueeze(-1)
    y = (pscan(decay, drive) @ C.unsqueeze(-1)).squeeze(3)
    return (y + D * x) * silu(z)


def ours(*inputs, backend="torch"):
    """The scan under test."""
    return selective_scan(*inputs, delta_softplus=True, backend=backend)


def transpose(tensors):
    """``[B, L, X]`` -> ``[B, X, L]`` views; other tensors as they are."""
    return [x.transpose(1, 2) if x.dim() == 3 else x for x in tensors]


# Function, and layout of its three-dimensional tensors: as created, a
# transposed view, or transposed in memory.
CANDIDATES = {
    "reference": (reference, "transposed"),
    "reference, on views": (reference, "view"),
    "mambapy": (mambapy, "as created"),
    "ours": (ours, "view"),
}


def step_of(function, inputs, weight, backward):
    """Makes a function that computes the output and maybe the gradients."""
    inputs = [x.detach().requires_grad_() for x in inputs]

    def forward_only():
        with torch.no_grad():
            return [function(*inputs)]

    def forward_and_backward():
        out = function(*inputs)
        grads = torch.autograd.grad(out, inputs, weight)
        return [out.detach(), *grads]

    return forward_and_backward if backward else forward_only


def make_step(name, size, backward):
    """The step of a candidate."""
    function, layout = CANDIDATES[name]
    inputs = make_inputs(size)
    tensors = [*inputs, inputs[0].roll(1)]
    if layout != "as created":
        tensors = transpose(tensors)
    if layout == "transposed":
        tensors = [x.contiguous() for x in tensors]
    return step_of(function, tensors[:-1], tensors[-1], backward)


def peer_rows(case, candidates, rounds):
    """Times ours and its peers; returns a row for each peer."""
    times = harness.compare(candidates, rounds)
    our_time = times.pop("ours")
    rows = []
    for name, time in times.items():
        ratio = time["median"] / our_time["median"]
        row = {"case": case, "peer": name}
        row["peer, ms"] = harness.milliseconds(time)
        row["ours, ms"] = harness.milliseconds(our_time)
        row["peer / ours"] = f"{ratio:.2f}"
        row["seconds"] = {"peer": time, "ours": our_time}
        harness.add_row(rows, row)
    return rows


def scan_rows(size, backward, rounds):
    """Checks that the candidates agree, then times them."""
    # The reference's backward pass fills a tensor of the size of all states at
    # every step, which takes minutes: run it as rarely as possible.
    slow = backward and size[-1] > 500
    names = [n for n in CANDIDATES if not (slow and n == "reference, on views")]
    steps = {name: make_step(name, size, backward) for name in names}
    results = {}
    for name in names[1 if slow else 0 :]:
        found = steps[name]()
        results[name] = found if name == "mambapy" else transpose(found)
    harness.check_same(results, tolerance=1e-3)
    case = "B={}, D={}, N={}, L={}, ".format(*size) + PASSES[backward]
    return peer_rows(case, steps, rounds)


def memory_rows(size):
    """Peak memory beyond inputs and outputs, relative to all states."""
    states = 4 * size[0] * size[1] * size[2] * size[3]
    rows = []
    for backward in (False, True):
        for name in ("reference", "mambapy", "ours"):
            extra = harness.peak_memory(make_step(name, size, backward))
            row = {"case": PASSES[backward], "implementation": name}
            row["MiB"] = f"{extra / 2**20:.1f}"
            row["share of all states"] = f"{extra / states:.3f}"
            harness.add_row(rows, row)
    return rows


def main():
    """Measures and writes the results."""
    args = harness.read_options(__doc__, rounds=10)
    lengths, rows = (11, 23) if args.smoke else (101, 1212), []
    for backward, length in itertools.product((False, True), lengths):
        size = (4, 384, 16, length)
        rows += scan_rows(size, backward, args.rounds)
    size = (4, 384, 16, max(lengths))
    time_note = (
        "Median time of a call (quartiles, number of rounds) of ours and of a "
        "peer, measured in turns. Ours and 'on views' read transposed views of "
        "[B, L, D], mambapy [B, L, D], the others [B, D, L]. "
    )
    memory_note = (
        "Peak memory beyond inputs and outputs, including gradients, at "
        "B={}, D={}, N={}, L={}.".format(*size)
    )
    sections = {
        "Time, float32": (time_note, rows),
        "Memory, float32": (memory_note, memory_rows(size)),
    }
    about = harness.environment("cpu", ("mambapy",))
    harness.write_results("selective_scan", about, sections)


if __name__ == "__main__":
    main()
