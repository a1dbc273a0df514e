"""Tests of the selective scan in plain torch operations, and of its entry.

Authors
 * The speechbrain_fftp authors 2026
"""

import sys
import types

import numpy as np
import pytest
import torch

from speechbrain_fftp.nnet import selective_scan as selective_scan_module
from speechbrain_fftp.nnet.selective_scan import selective_scan, torch_backend


def step_by_step(
    u, delta, A, B, C, D=None, z=None, delta_bias=None, softplus=True, h=None
):
    """The recursion written out, in the inputs' own dtype."""
    if delta_bias is not None:
        delta = delta + delta_bias[:, None]
    if softplus:
        delta = (1 + delta.exp()).log()
    h = torch.zeros_like(A).expand(len(u), -1, -1) if h is None else h
    out = []
    for t in range(u.shape[2]):
        step = delta[:, :, t, None]
        h = (step * A).exp() * h + step * B[:, None, :, t] * u[:, :, t, None]
        out.append((h * C[:, None, :, t]).sum(2))
    out = torch.stack(out, 2)
    if D is not None:
        out = out + D[:, None] * u
    if z is not None:
        out = out * z * z.sigmoid()
    return out, h


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
    expected, expected_state = step_by_step(**inputs)
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
def test_each_item_as_if_it_were_alone(small_blocks, reverse):
    inputs = make_inputs(21)
    lengths = torch.tensor([21, 10, 1])
    start = torch.randn(3, 6, 4, dtype=torch.float64)
    padded = dict(inputs)
    for name in ("u", "delta", "B", "C", "z"):
        padded[name] = inputs[name].clone()
        for row, length in enumerate(lengths):
            padded[name][row, :, length:] = float("nan")
        padded[name].requires_grad_()
    out, last_state = selective_scan(
        **padded,
        delta_softplus=True,
        return_last_state=True,
        lengths=lengths,
        reverse=reverse,
        initial_state=start,
    )
    (out * torch.randn_like(out)).sum().backward()
    for row, length in enumerate(lengths):
        alone = {
            k: v if v.dim() < 3 else v[row : row + 1, :, :length]
            for k, v in inputs.items()
        }
        if reverse:
            alone = {
                k: v if v.dim() < 3 else v.flip(2) for k, v in alone.items()
            }
        expected, state = step_by_step(**alone, h=start[row : row + 1])
        expected = expected.flip(2) if reverse else expected
        torch.testing.assert_close(out[row : row + 1, :, :length], expected)
        torch.testing.assert_close(last_state[row : row + 1], state)
        assert not out[row, :, length:].any()
        for name in ("u", "delta", "B", "C", "z"):
            grad = padded[name].grad[row]
            assert grad[:, :length].isfinite().all()
            assert not grad[:, length:].any(), name


def both_step_by_step(A, lengths=None, **inputs):
    """The sum of both directions, item by item, 0 beyond its length."""
    out = torch.zeros_like(inputs["u"])
    for row in range(len(out)):
        length = out.shape[2] if lengths is None else int(lengths[row])
        alone = {
            k: v if v.dim() < 3 else v[row : row + 1, :, :length]
            for k, v in inputs.items()
        }
        flipped = {
            k: v.flip(2) if v.dim() == 3 else v for k, v in alone.items()
        }
        forward, _ = step_by_step(**alone, A=A[0])
        backward, _ = step_by_step(**flipped, A=A[1])
        out[row, :, :length] = (forward + backward.flip(2))[0]
    return out


@pytest.mark.parametrize("lengths", [None, [30, 7, 1]])
@pytest.mark.parametrize("absent", [(), ("D", "z"), ("delta_bias",)])
@pytest.mark.parametrize("rows", ["together", "alone"])
def test_both_directions_are_added(monkeypatch, rows, absent, lengths):
    inputs = make_inputs(30)
    inputs = {k: v for k, v in inputs.items() if k not in absent}
    inputs["A"] = -torch.rand(2, 6, 4, dtype=torch.float64)
    if lengths is not None:
        inputs["lengths"] = torch.tensor(lengths)
    if rows == "alone":
        monkeypatch.setattr(torch_backend, "STEP_STATES", 6 * 4)
    out = selective_scan(**inputs, delta_softplus=True)
    torch.testing.assert_close(out, both_step_by_step(**inputs))


def test_gradients_of_both_directions(small_blocks):
    inputs = make_inputs(9, width=2, states=2)
    inputs["A"] = -torch.rand(2, 2, 2, dtype=torch.float64)
    lengths = torch.tensor([9, 5, 1])

    def scan(*tensors):
        return selective_scan(*tensors, delta_softplus=True, lengths=lengths)

    tensors = [x.requires_grad_() for x in inputs.values()]
    assert torch.autograd.gradcheck(scan, tensors)


def test_a_scan_goes_on_from_a_state():
    inputs = make_inputs(30)
    whole = selective_scan(**inputs, delta_softplus=True)
    state, parts = None, []
    for start, stop in ((0, 1), (1, 13), (13, 30)):
        part = {
            k: v[..., start:stop] if v.dim() == 3 else v
            for k, v in inputs.items()
        }
        out, state = selective_scan(
            **part,
            delta_softplus=True,
            initial_state=state,
            return_last_state=True,
        )
        parts.append(out)
    torch.testing.assert_close(torch.cat(parts, 2), whole)


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
    expected, expected_state = step_by_step(**exact)
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
        return step_by_step(u, delta, A, B, C, D, z, delta_bias, delta_softplus)

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
    expected = both_step_by_step(**inputs, lengths=options["lengths"])
    torch.testing.assert_close(out, expected)
