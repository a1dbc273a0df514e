"""Tests of the scan's chunks, memory and mamba_ssm; see tests/speechbrain, too.

Authors
 * The speechbrain_fftp authors 2026
"""

import sys
import types

import numpy as np
import pytest
import torch
from test_selective_scan_triton import reference

from speechbrain_fftp.nnet import selective_scan as selective_scan_module
from speechbrain_fftp.nnet.selective_scan import selective_scan, torch_backend


def make_inputs(length, width=6, states=4, batch=3, dtype=torch.float64):
    torch.manual_seed(length)

    def randn(*shape):
        return torch.randn(*shape, dtype=dtype)

    # As in the model: transposed views of [B, L, D].
    return {
        "u": randn(batch, length, width).transpose(1, 2),
        "delta": randn(batch, length, width).transpose(1, 2),
        "A": -torch.rand(width, states, dtype=dtype),
        "B": randn(batch, length, states).transpose(1, 2),
        "C": randn(batch, length, states).transpose(1, 2),
        "D": randn(width),
        "z": randn(batch, length, width).transpose(1, 2),
        "delta_bias": randn(width),
    }


@pytest.fixture
def small_blocks(monkeypatch):
    """Rows one by one, in chunks of eight steps."""
    monkeypatch.setattr(torch_backend, "CHUNK_STATES", 1)
    monkeypatch.setattr(torch_backend, "STEP_STATES", 1)


@pytest.mark.parametrize("length", [1, 8, 9, 30])
@pytest.mark.parametrize("absent", [(), ("D", "z"), ("delta_bias",)])
def test_equals_step_by_step(small_blocks, length, absent):
    inputs = make_inputs(length)
    inputs = {k: v for k, v in inputs.items() if k not in absent}
    out, last_state = selective_scan(
        **inputs, delta_softplus=True, return_last_state=True
    )
    expected, expected_state = reference(**inputs, delta_softplus=True)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(last_state, expected_state)


@pytest.mark.parametrize("reverse, lengths", [(False, None), (True, [9, 5, 1])])
def test_gradients(small_blocks, reverse, lengths):
    inputs = make_inputs(9, width=2, states=2)
    lengths = None if lengths is None else torch.tensor(lengths)

    def scan(*tensors):
        return selective_scan(
            *tensors,
            delta_softplus=True,
            return_last_state=True,
            lengths=lengths,
            reverse=reverse,
        )

    tensors = [x.requires_grad_() for x in inputs.values()]
    assert torch.autograd.gradcheck(scan, tensors)


@pytest.mark.parametrize("lengths", [None, [30, 7, 1]])
@pytest.mark.parametrize("absent", [(), ("D", "z"), ("delta_bias",)])
@pytest.mark.parametrize("rows", ["together", "alone"])
def test_both_directions_are_added(monkeypatch, rows, absent, lengths):
    inputs = make_inputs(30)
    inputs = {k: v for k, v in inputs.items() if k not in absent}
    inputs["A"] = -torch.rand(2, 6, 4, dtype=torch.float64)
    inputs["delta_softplus"] = True
    if lengths is not None:
        inputs["lengths"] = torch.tensor(lengths)
    if rows == "alone":
        monkeypatch.setattr(torch_backend, "STEP_STATES", 6 * 4)
    out = selective_scan(**inputs)
    torch.testing.assert_close(out, reference(**inputs)[0])


def test_states_do_not_overflow_with_stiff_steps():
    inputs = make_inputs(50, dtype=torch.float32)
    inputs["A"] = inputs["A"] * 1e4
    inputs["delta"] = inputs["delta"] * 20
    for x in inputs.values():
        x.requires_grad_()
    out = selective_scan(**inputs, delta_softplus=True)
    out.sum().backward()
    assert out.isfinite().all()
    assert all(x.grad.isfinite().all() for x in inputs.values())


def test_memory_does_not_grow_with_the_states():
    # One step of 2 x 64 x 16 states; the whole sequence would hold 8 MB.
    inputs = make_inputs(1024, 64, 16, 2, torch.float32)
    with torch.no_grad(), torch.profiler.profile(profile_memory=True) as prof:
        selective_scan(**inputs, delta_softplus=True)
    sizes = [
        event.nbytes()
        for event in prof.profiler.kineto_results.events()
        if event.name() == "[memory]"
    ]
    peak = max(np.cumsum(sizes))
    assert 0 < peak < 1024 * 2 * 64 * 16 * 4 / 2


@pytest.mark.parametrize(
    "reverse, lengths", [(False, None), (True, [21, 10, 1])]
)
def test_mamba_ssm_gets_what_it_expects(monkeypatch, reverse, lengths):
    def kernel(
        u, delta, A, B, C, D, z, delta_bias, delta_softplus, return_last_state
    ):
        assert return_last_state and A.dtype == torch.float32
        found = reference(
            u, delta, A, B, C, D, z, delta_bias, delta_softplus=delta_softplus
        )
        return tuple(x.float() for x in found)

    module = types.ModuleType("selective_scan_interface")
    module.selective_scan_fn = kernel
    for name in ("mamba_ssm", "mamba_ssm.ops"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    name = "mamba_ssm.ops.selective_scan_interface"
    monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(selective_scan_module.INSTALLED, "mamba_ssm", True)
    inputs = make_inputs(21, dtype=torch.float32)
    options = {
        "delta_softplus": True,
        "return_last_state": True,
        "reverse": reverse,
        "lengths": None if lengths is None else torch.tensor(lengths),
    }
    results = selective_scan(**inputs, **options, backend="mamba_ssm")
    expected = selective_scan(**inputs, **options, backend="torch")
    torch.testing.assert_close(results, expected)
    inputs["A"] = -torch.rand(2, 6, 4)
    both = {"delta_softplus": True, "lengths": options["lengths"]}
    out = selective_scan(**inputs, **both, backend="mamba_ssm")
    expected, _ = reference(**inputs, **both)
    torch.testing.assert_close(out, expected.float())


def test_backends_that_cannot_scan_an_input_are_errors():
    inputs = make_inputs(5)
    with pytest.raises(ValueError, match="float64"):
        selective_scan(**inputs, backend="triton")
    with pytest.raises(ValueError, match="cuda"):
        selective_scan(**inputs, backend="cuda")
