"""Tests of the selective scan in plain torch operations, and of its entry.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools
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
    start = torch.randn(3, 2, 2, dtype=torch.float64)
    lengths = None if lengths is None else torch.tensor(lengths)

    def scan(*tensors):
        return selective_scan(
            *tensors[:8],
            delta_softplus=True,
            return_last_state=True,
            lengths=lengths,
            reverse=reverse,
            initial_state=tensors[8],
        )

    tensors = [x.requires_grad_() for x in (*inputs.values(), start)]
    assert torch.autograd.gradcheck(scan, tensors)


@pytest.mark.parametrize("reverse", [False, True])
def test_padding_has_no_influence(small_blocks, reverse):
    """Neither on outputs nor on gradients, whatever it holds."""
    inputs = make_inputs(21)
    lengths = [21, 10, 1]
    for name in ("u", "delta", "B", "C", "z"):
        for row, length in enumerate(lengths):
            inputs[name][row, :, length:] = float("nan")
    options = {
        "lengths": torch.tensor(lengths),
        "reverse": reverse,
        "initial_state": torch.randn(3, 6, 4, dtype=torch.float64),
        "delta_softplus": True,
    }
    tensors = [x.requires_grad_() for x in inputs.values()]
    weights = torch.randn_like(inputs["u"])
    results = []
    for scan in (
        functools.partial(selective_scan, return_last_state=True),
        reference,
    ):
        out, state = scan(**inputs, **options)
        grads = torch.autograd.grad((out * weights).sum(), tensors)
        results.append([out, state, *grads])
    torch.testing.assert_close(*results)


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


def test_gradients_of_both_directions(small_blocks):
    inputs = make_inputs(9, width=2, states=2)
    inputs["A"] = -torch.rand(2, 2, 2, dtype=torch.float64)
    lengths = torch.tensor([9, 5, 1])

    def scan(*tensors):
        return selective_scan(*tensors, delta_softplus=True, lengths=lengths)

    tensors = [x.requires_grad_() for x in inputs.values()]
    assert torch.autograd.gradcheck(scan, tensors)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_inputs_are_scanned_in_float32(dtype):
    inputs = make_inputs(300, dtype=torch.float32)
    for name in ("u", "delta", "B", "C", "z"):
        inputs[name] = inputs[name].to(dtype).requires_grad_()
    out, state = selective_scan(
        **inputs, delta_softplus=True, return_last_state=True
    )
    assert out.dtype == dtype and state.dtype == torch.float32
    exact = {k: v.detach().double() for k, v in inputs.items()}
    expected, expected_state = reference(**exact, delta_softplus=True)
    torch.testing.assert_close(
        state.double(), expected_state, atol=1e-5, rtol=1e-4
    )
    # The output is rounded once.
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(out.double(), expected, atol=1e-4, rtol=eps)
    out.float().sum().backward()
    assert inputs["u"].grad.dtype == dtype


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


@pytest.mark.parametrize("name", ["u", "delta", "B", "z"])
def test_nan_surfaces_where_it_is_and_later(name):
    inputs = make_inputs(30)
    inputs[name][1, 2, 10] = float("nan")
    bad = selective_scan(**inputs, delta_softplus=True).isnan()
    assert not bad[[0, 2]].any() and not bad[1, :, :10].any()
    last = 11 if name == "z" else 30
    assert bad[1, 2, 10:last].all()


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


def test_errors():
    inputs = make_inputs(5)
    with pytest.raises(ValueError, match="B must be"):
        selective_scan(**{**inputs, "B": inputs["B"][:, :, :4]})
    for shape in ((3, 6, 0), (6, 5)):
        with pytest.raises(ValueError, match="u must be"):
            selective_scan(**{**inputs, "u": torch.zeros(shape)})
    with pytest.raises(ValueError, match="A must be"):
        selective_scan(**{**inputs, "A": inputs["A"] * 1j})
    both = {**inputs, "A": -torch.rand(2, 6, 4)}
    for options in (
        {"reverse": True},
        {"return_last_state": True},
        {"initial_state": torch.zeros(3, 6, 4)},
    ):
        with pytest.raises(ValueError, match="both directions"):
            selective_scan(**both, **options)
    with pytest.raises(ValueError, match="A must be"):
        selective_scan(**{**inputs, "A": -torch.rand(3, 6, 4)})
    with pytest.raises(ValueError, match="lengths must be"):
        selective_scan(**inputs, lengths=torch.ones(2))
    with pytest.raises(ValueError, match="float64"):
        selective_scan(**inputs, backend="triton")
    inputs = make_inputs(5, dtype=torch.float32)
    with pytest.raises(ValueError, match="'cuda'"):
        selective_scan(**inputs, backend="cuda")


def test_backends_that_are_not_there(monkeypatch):
    inputs = make_inputs(5, dtype=torch.float32)
    installed = selective_scan_module.INSTALLED
    for name in installed:
        monkeypatch.setitem(installed, name, False)
    with pytest.raises(ImportError, match="triton"):
        selective_scan(**inputs, backend="triton")
    with pytest.raises(ImportError, match="mamba-ssm"):
        selective_scan(**inputs, backend="mamba_ssm")
    for name in installed:
        monkeypatch.setitem(installed, name, True)
    with pytest.raises(ValueError, match="triton"):
        selective_scan(**inputs, backend="triton")
    with pytest.raises(ValueError, match="mamba_ssm"):
        start = torch.zeros(3, 6, 4)
        selective_scan(**inputs, backend="mamba_ssm", initial_state=start)


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
