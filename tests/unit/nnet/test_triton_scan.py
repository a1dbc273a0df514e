"""Tests of the selective scan's Triton kernels, on a GPU.

Without one, run them in Triton's interpreter: TRITON_INTERPRET=1.

Authors
 * The speechbrain_fftp authors 2026
"""

import os

import pytest
import torch

pytest.importorskip("triton")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available()
        and os.environ.get("TRITON_INTERPRET") != "1",
        reason="neither a GPU nor TRITON_INTERPRET=1",
    ),
]
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
OPTIONAL = ("D", "z", "delta_bias")
SEQUENCES = ("u", "delta", "B", "C", "z")
# Batch, channels, states and steps; a chunk has 32 steps, a block 32 channels.
# With many programs wanted, the sequence is scanned in segments.
CASES = {
    "blocks": {"size": (1, 33, 4, 7), "absent": OPTIONAL},
    "blocks of four": {"size": (1, 36, 8, 3), "reverse": True},
    "one step": {"size": (2, 3, 4, 1)},
    "chunks": {"size": (1, 2, 4, 34), "programs": 0},
    "lengths backward": {
        "size": (2, 5, 4, 33),
        "lengths": [1, 33],
        "reverse": True,
    },
    "both": {"size": (2, 5, 5, 7), "lengths": [7, 1], "both": True},
    "segments": {
        "size": (2, 3, 5, 34),
        "lengths": [34, 33],
        "reverse": True,
        "programs": 99,
    },
    "segments of two chunks": {"size": (1, 2, 4, 66), "programs": 2},
    "segments of both": {
        "size": (1, 2, 4, 34),
        "lengths": [33],
        "both": True,
        "programs": 99,
    },
    "bfloat16": {"size": (2, 8, 4, 9), "dtype": torch.bfloat16},
}


def make_inputs(size, absent=(), both=False, dtype=torch.float32):
    """Random inputs; those in bfloat16 are transposed in memory."""
    torch.manual_seed(1)
    batch, dim, states, steps = size
    sizes = dict.fromkeys(("u", "delta", "z"), (batch, dim, steps))
    sizes |= dict.fromkeys(("B", "C"), (batch, states, steps))
    sizes |= {"D": (dim,), "delta_bias": (dim,)}
    inputs = {
        name: torch.randn(size, device=DEVICE)
        for name, size in sizes.items()
        if name not in absent
    }
    if dtype != torch.float32:
        for name in SEQUENCES:
            inputs[name] = inputs[name].to(dtype).mT.contiguous().mT
    rates = -torch.rand(2, dim, states, device=DEVICE) - 0.1
    rates[..., -1] *= 1e5  # forgets at once: exp(delta * A) is 0
    inputs["A"] = rates if both else rates[0]
    return inputs


def run(backend, inputs, compile_options=None, **options):
    """Outputs and gradients."""
    from speechbrain_fftp.nnet.selective_scan import selective_scan

    if compile_options is not None:
        selective_scan = torch.compile(selective_scan, **compile_options)
    tensors = {k: x.clone().requires_grad_() for k, x in inputs.items()}
    results = selective_scan(
        **tensors,
        delta_softplus=True,
        backend=backend,
        return_last_state=tensors["A"].dim() == 2,
        **options,
    )
    results = results if isinstance(results, tuple) else (results,)
    generator = torch.Generator().manual_seed(0)
    loss = 0.0
    for out in results:
        weights = torch.randn(out.shape, generator=generator)
        loss = loss + (out.float() * weights.to(DEVICE)).sum()
    return [*results, *torch.autograd.grad(loss, tensors.values())]


@pytest.mark.parametrize("name", CASES)
def test_outputs_and_gradients_are_those_in_torch(monkeypatch, name):
    """Compares the kernels with the scan in torch."""
    from speechbrain_fftp.nnet.selective_scan import triton_backend

    case = dict(CASES[name])
    if "programs" in case:
        monkeypatch.setattr(triton_backend, "PROGRAMS", case.pop("programs"))
        monkeypatch.setattr(triton_backend, "MIN_SEGMENTS", 2)
    options = {"reverse": case.pop("reverse", False)}
    lengths = case.pop("lengths", None)
    inputs = make_inputs(**case)
    if lengths is not None:
        options["lengths"] = torch.tensor(lengths, device=DEVICE)
        for key in SEQUENCES:
            for item, length in zip(inputs[key], lengths):
                item[:, length:] = torch.nan
    limit = 1e-4 if inputs["u"].dtype == torch.float32 else 0.03
    torch.testing.assert_close(
        run("triton", inputs, **options),
        run("torch", inputs, **options),
        rtol=limit,
        atol=limit,
    )


def test_sums_in_a_fixed_order_are_the_same_in_each_run():
    """Repeats a backward pass, and compares bit by bit."""
    inputs = make_inputs((1, 40, 4, 9))
    torch.use_deterministic_algorithms(True)
    try:
        first, second = (run("triton", inputs) for _ in range(2))
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(x, y) for x, y in zip(first, second))
    expected = run("torch", inputs)
    torch.testing.assert_close(first, expected, rtol=1e-4, atol=1e-4)


def test_compiled_code_has_no_graph_break():
    """Compiles the scan as one graph."""
    inputs = make_inputs((2, 5, 5, 9))
    lengths = torch.tensor([3, 8], device=DEVICE)
    eager, compiled = (
        run("triton", inputs, options, lengths=lengths)
        for options in (None, {"backend": "aot_eager", "fullgraph": True})
    )
    torch.testing.assert_close(compiled, eager, rtol=1e-5, atol=1e-5)
