"""Tests of the Triton kernels of the selective scan.

On the CPU they run in Triton's interpreter, which must be chosen before Triton
is imported: one child process, this file run as a script, takes all cases and
prints how far each result is from the reference. Tests marked ``gpu`` compare
the compiled kernels in the same way.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
import json
import os
import subprocess
import sys
from unittest import mock

import pytest
import torch

from speechbrain_fftp.nnet.selective_scan import selective_scan

OPTIONAL = ("D", "z", "delta_bias", "initial_state")
NAMES = ("u", "delta", "A", "B", "C", *OPTIONAL)
ALL = {"with_": OPTIONAL, "delta_softplus": True}
MOST = {"with_": OPTIONAL[:-1], "delta_softplus": True}  # of both directions

# What the kernels are tried with; sizes are B, D, N, L.
CASES = {
    "plain": dict(size=(2, 5, 4, 7)),
    "one_step": dict(size=(2, 3, 4, 1), **ALL),
    "gate": dict(size=(1, 4, 4, 5), with_=("z",)),
    "skip_and_bias": dict(size=(1, 4, 4, 5), with_=("D", "delta_bias")),
    "initial": dict(size=(1, 4, 4, 5), with_=("initial_state",)),
    "chunk_and_one_reverse": dict(size=(1, 3, 4, 33), reverse=True, **ALL),
    "three_chunks": dict(size=(1, 2, 4, 70), programs=0, **ALL),
    "segments_reverse": dict(
        size=(2, 3, 5, 70), programs=99, lengths=(70, 33), reverse=True, **ALL
    ),
    "segments_of_two_chunks": dict(
        size=(1, 2, 4, 130), programs=3, with_=("z",)
    ),
    "both": dict(size=(2, 5, 4, 7), both=True, programs=0, **MOST),
    "both_lengths": dict(size=(2, 37, 5, 7), lengths=(7, 1), both=True, **MOST),
    "both_segments": dict(
        size=(1, 2, 4, 70), lengths=(66,), programs=99, both=True, **MOST
    ),
    "both_bfloat16": dict(size=(2, 8, 4, 9), dtype="bfloat16", both=True),
    "states_16": dict(size=(1, 8, 16, 9), **ALL),
    "two_blocks": dict(size=(2, 37, 4, 9), **ALL),
    "two_blocks_of_four": dict(size=(1, 44, 8, 9), reverse=True, **ALL),
    "sliced": dict(size=(2, 6, 4, 9), layout="sliced", reverse=True, **ALL),
    "expanded": dict(size=(2, 6, 4, 9), layout="expanded", **ALL),
    "lengths_plain": dict(size=(2, 5, 5, 9), lengths=(3, 8)),
    "lengths_reverse": dict(
        size=(3, 5, 4, 37), lengths=(1, 37, 33), reverse=True, **ALL
    ),
    "large_steps": dict(size=(1, 4, 4, 6), scale=40.0, **ALL),
    "mixed": dict(size=(2, 8, 4, 9), dtype="mixed", reverse=True, **ALL),
}
# The output is a sum of two rounded ones, and so are the gradients.
LIMITS = {"both_bfloat16": 0.02}
GPU_CASES = {
    "narrow": dict(size=(3, 192, 16, 101), lengths=(101, 64, 7), **ALL),
    "wide": dict(size=(2, 1536, 16, 1212), dtype="bfloat16", **ALL),
    "wide_reverse": dict(
        size=(2, 1536, 16, 1212), dtype="bfloat16", reverse=True, **ALL
    ),
}


def reference(
    u, delta, A, B, C, D=None, z=None, delta_bias=None, initial_state=None,
    lengths=None, delta_softplus=False, reverse=False,
):  # fmt: skip
    """Step by step, one item at a time, in float64."""
    if A.dim() == 3:
        scan = functools.partial(
            reference, u, delta, B=B, C=C, D=D, z=z, delta_bias=delta_bias,
            lengths=lengths, delta_softplus=delta_softplus,
        )  # fmt: skip
        out = scan(A=A[0])[0] + scan(A=A[1], reverse=True)[0]
        return out, torch.zeros(1, device=u.device)
    outs, states = [], []
    for b in range(len(u)):
        length = u.shape[2] if lengths is None else int(lengths[b])
        dt = delta[b, :, :length].double()
        if delta_bias is not None:
            dt = dt + delta_bias.double()[:, None]
        if delta_softplus:
            dt = torch.logaddexp(dt, torch.zeros_like(dt))
        h = torch.zeros_like(A, dtype=torch.float64)
        if initial_state is not None:
            h = initial_state[b].double()
        ys = [torch.zeros_like(dt[:, 0])] * u.shape[2]
        for t in reversed(range(length)) if reverse else range(length):
            x = u[b, :, t].double()
            h = torch.exp(dt[:, t, None] * A.double()) * h
            h = h + (dt[:, t] * x)[:, None] * B[b, :, t].double()
            y = h @ C[b, :, t].double()
            if D is not None:
                y = y + D.double() * x
            if z is not None:
                gate = z[b, :, t].double()
                y = y * gate * torch.sigmoid(gate)
            ys[t] = y
        outs.append(torch.stack(ys, 1))
        states.append(h)
    return torch.stack(outs), torch.stack(states)


def make(size, with_=(), layout="transposed", dtype="float32", lengths=None,
         scale=1.0, device="cpu", both=False, **options):  # fmt: skip
    """Random arguments of a scan: tensors by name, and the other options."""
    batch, dim, states, steps = size
    gen = torch.Generator().manual_seed(sum(size))
    shapes = dict(u=(batch, steps, dim), A=(dim, states), D=(dim,))
    if both:
        shapes["A"] = 2, dim, states
    shapes["B"] = shapes["C"] = (batch, steps, states)
    shapes["delta"] = shapes["z"] = shapes["u"]
    shapes.update(delta_bias=(dim,), initial_state=(batch, dim, states))
    tensors = {}
    for i, name in enumerate(NAMES):
        if name in OPTIONAL and name not in with_:
            continue
        shape = shapes[name]
        sequence = len(shape) == 3 and name not in ("A", "initial_state")
        if sequence and layout == "sliced":
            shape = (*shape[:2], 2 * shape[2] + 1)
        value = torch.randn(shape, generator=gen)
        if sequence and layout == "sliced":
            value = value[..., 1 : shapes[name][2] + 1]
        if name == "A":
            value = -value.exp()
        if name == "delta":
            value = value * scale
            if not options.get("delta_softplus"):
                value = value.abs() * 0.3
        kinds = ("bfloat16", "float32", "float16")
        if dtype == "mixed":
            value = value.to(getattr(torch, kinds[i % 3]))
        elif sequence:
            value = value.to(getattr(torch, dtype))
        if sequence:
            value = value.transpose(1, 2)  # [B, L, D] -> [B, D, L]
            if layout == "contiguous":
                value = value.contiguous()
            if lengths is not None:
                for item, length in zip(value, lengths):
                    item[..., length:] = float("nan")
        tensors[name] = value.to(device).requires_grad_()
    if lengths is not None:
        options["lengths"] = torch.tensor(lengths, device=device)
    return tensors, options


def triton_scan(**inputs):
    """The scan with the Triton kernels: output and last state, if any."""
    if inputs["A"].dim() == 3:
        out = selective_scan(**inputs, backend="triton")
        return out, torch.zeros(1, device=out.device)
    if "initial_state" in inputs:  # which only the kernels have
        from speechbrain_fftp.nnet.selective_scan import triton_backend

        return triton_backend.triton_scan(**inputs)
    return selective_scan(**inputs, backend="triton", return_last_state=True)


def relative(value, expected):
    """Largest deviation, beyond the last bit of the type of the value (the
    interpreter truncates), over the largest value; inf where not finite."""
    rounding = torch.finfo(value.dtype).eps
    value, expected = value.detach().double(), expected.detach().double()
    excess = (value - expected).abs() - rounding * expected.abs()
    worst = excess.clamp(min=0).max() / expected.abs().max().clamp(1e-9)
    return float(worst.nan_to_num(float("inf"), posinf=float("inf")))


def deviations(programs=None, **case):
    """How far outputs and gradients of a case are from the reference's.

    With ``programs``, segments are used as if so many kept a GPU busy.
    """
    from speechbrain_fftp.nnet.selective_scan import triton_backend

    few = triton_backend.PROGRAMS if programs is None else programs
    with mock.patch.object(triton_backend, "PROGRAMS", few):
        return deviations_of(**case)


def deviations_of(layout="transposed", **case):
    """The same, with as many programs as the package takes."""
    tensors, options = make(layout=layout, **case)
    results = []
    for scan in (triton_scan, reference):
        out, last = scan(**tensors, **options)
        assert out.shape == tensors["u"].shape
        gen = torch.Generator().manual_seed(0)
        # Of few bits: the gradient of a bfloat16 output has that type too.
        weights = torch.randn(out.shape, generator=gen).bfloat16()
        weights = weights.double().to(out.device)
        if layout == "expanded":  # a gradient with strides 0
            weights = weights[:, :1, :1].expand_as(out)
        loss = (out.double() * weights).sum() + (last * last.cos()).sum()
        grads = torch.autograd.grad(loss, list(tensors.values()))
        results.append([out, last, *grads])
    names = ["out", "last_state"] + ["grad_" + name for name in tensors]
    found = {}
    for name, value, expected in zip(names, *results):
        wanted = tensors.get(name[5:], tensors["u"]).dtype
        if name == "last_state":
            wanted = torch.float32
        assert value.dtype == wanted, name
        found[name] = relative(value, expected)
        if "lengths" in options and name in ("out", "grad_u", "grad_B"):
            for item, length in zip(value, options["lengths"]):
                assert not item[..., length:].any(), name
    return found


def interpret(script, *words):
    """What a script prints last, as JSON, in Triton's interpreter."""
    pytest.importorskip("triton", reason="Triton is not installed")
    child = subprocess.run(
        [sys.executable, script, *words],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
    )
    assert child.returncode == 0, child.stderr[-3000:]
    return json.loads(child.stdout.splitlines()[-1])


@pytest.fixture(scope="session")
def interpreted():
    """What the child process found, by case."""
    return interpret(__file__)


def check(found, limit):
    """Asserts that all deviations are below a limit."""
    assert len(found) >= 2
    assert {k: v for k, v in found.items() if not v < limit} == {}


@pytest.mark.parametrize("case", CASES)
def test_equals_step_by_step(case, interpreted):
    """Outputs and gradients in the interpreter."""
    check(interpreted[case], LIMITS.get(case, 1e-4))


def test_directions_and_segments_share_launches(interpreted):
    """Directions and segments of each launch, forward and backward."""
    expected = {
        "three_chunks": [[1, 1], [1]],
        "both": [[2, 1], [2]],
        "segments_of_two_chunks": [[1, 2], [1, 3], [1]],
        "both_segments": [[2, 2], [2, 3], [2]],
    }
    found = interpreted["launches"]
    assert {name: found[name] for name in expected} == expected


def test_without_gradients_nothing_is_saved(interpreted):
    """A scan that needs no gradients has the same output."""
    assert interpreted["no_grad"] == {"out": 0, "last_state": 0, "graph": 0}


def test_sums_in_a_fixed_order(interpreted):
    """Gradients under deterministic algorithms."""
    check(interpreted["in_order"], 1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_sums_in_a_fixed_order_are_the_same_in_each_run():
    """They are equal in each run on a GPU."""
    torch.use_deterministic_algorithms(True)
    try:
        tensors, options = make((4, 1536, 16, 101), device="cuda", **ALL)
        runs = []
        for _ in range(3):
            out, _ = triton_scan(**tensors, **options)
            runs.append(torch.autograd.grad(out.square().sum(), tensors["B"]))
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(run[0], runs[0][0]) for run in runs)


def test_compiled_code_has_no_graph_break(interpreted):
    """The scan is one operator in compiled code."""
    check(interpreted["compiled"], 1e-6)


needs_gpu = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a CUDA GPU"
)


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("case", [*CASES, *GPU_CASES])
def test_equals_step_by_step_on_gpu(case):
    """Outputs and gradients of the compiled kernels."""
    found = deviations(**{**CASES, **GPU_CASES}[case], device="cuda")
    check(found, LIMITS.get(case, 2e-4))


def compiled_deviations(case):
    """How far compiled code is from eager code; checks the operator."""
    from speechbrain_fftp.nnet.selective_scan import triton_backend

    case_options = {**CASES[case]}
    case_options.pop("programs", None)
    tensors, options = make(**case_options)
    inputs = [tensors.get(name) for name in NAMES]
    inputs.append(options.get("lengths"))
    flags = [options.get("delta_softplus", False), False, True]
    torch.library.opcheck(triton_backend.scan_forward, (*inputs, *flags))

    def scan(tensors):
        """The scan, as a function of its tensors."""
        out, last = triton_scan(**tensors, **options)
        return out, last

    compiled = torch.compile(scan, backend="aot_eager", fullgraph=True)
    results = []
    for function in (scan, compiled):
        out, last = function(tensors)
        loss = out.float().square().sum() + last.square().sum()
        grads = torch.autograd.grad(loss, list(tensors.values()))
        results.append([out, last, *grads])
    names = [f"{case} {name}" for name in ("out", "last_state", *tensors)]
    return {
        name: relative(found, expected)
        for name, expected, found in zip(names, *results)
    }


def main():
    """Prints, as JSON, the deviations of all cases that can run here."""
    torch.set_num_threads(1)
    from speechbrain_fftp.nnet.selective_scan import triton_backend

    found, launch = {"launches": {}}, triton_backend.launch
    for name, case in CASES.items():
        with mock.patch.object(triton_backend, "launch", wraps=launch) as spy:
            found[name] = deviations(**case)
        grids = [call.kwargs["grid"] for call in spy.call_args_list]
        found["launches"][name] = grids
    tensors, options = make(**CASES["two_blocks"])
    with_graph = triton_scan(**tensors, **options)
    with torch.no_grad():
        out, last = triton_scan(**tensors, **options)
    found["no_grad"] = {
        "out": relative(out, with_graph[0]),
        "last_state": relative(last, with_graph[1]),
        "graph": int(out.requires_grad or last.requires_grad),
    }
    torch.use_deterministic_algorithms(True)
    found["in_order"] = deviations(**CASES["two_blocks"])
    torch.use_deterministic_algorithms(False)
    found["compiled"] = compiled_deviations("lengths_plain")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
