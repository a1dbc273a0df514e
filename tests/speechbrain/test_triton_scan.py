"""Tests of the selective scan's Triton kernels, on a GPU.

Without one, run them in Triton's interpreter: TRITON_INTERPRET=1.

Authors
 * The speechbrain_fftp authors 2026
"""

import os

import pytest
import torch

pytest.importorskip("triton")
pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available() and os.environ.get("TRITON_INTERPRET") != "1",
    reason="neither a GPU nor TRITON_INTERPRET=1",
)
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
OPTIONS = {
    "plain": {},
    "lengths": {"lengths": [40, 17]},
    "reverse": {"lengths": [40, 17], "reverse": True},
    "both": {"lengths": [40, 17], "both": True},
}


def make_inputs(both):
    """Random inputs in float32."""
    torch.manual_seed(1)
    sizes = {
        "u": (2, 6, 40),
        "delta": (2, 6, 40),
        "B": (2, 4, 40),
        "C": (2, 4, 40),
        "D": (6,),
        "z": (2, 6, 40),
        "delta_bias": (6,),
    }
    inputs = {
        name: torch.randn(size, device=DEVICE, requires_grad=True)
        for name, size in sizes.items()
    }
    rates = -torch.rand(2, 6, 4, device=DEVICE) - 0.1
    inputs["A"] = (rates if both else rates[0]).requires_grad_()
    return inputs


@pytest.mark.parametrize("name", OPTIONS)
def test_outputs_and_gradients_are_those_in_torch(name):
    """The kernels agree with the scan in PyTorch."""
    from speechbrain.nnet.selective_scan import selective_scan

    options = dict(OPTIONS[name])
    inputs = make_inputs(options.pop("both", False))
    if "lengths" in options:
        options["lengths"] = torch.tensor(options["lengths"], device=DEVICE)
    weights = torch.randn(2, 6, 40, device=DEVICE)
    results = {}
    for backend in ("torch", "triton"):
        out = selective_scan(
            **inputs, delta_softplus=True, backend=backend, **options
        )
        grads = torch.autograd.grad((out * weights).sum(), inputs.values())
        results[backend] = [out, *grads]
    for ours, theirs in zip(results["triton"], results["torch"]):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_autograd_of_the_operator():
    """All inputs have gradients, even without a gradient of the last state."""
    from speechbrain.integrations.triton import selective_scan as triton_backend

    inputs = make_inputs(False)
    out, _ = triton_backend.triton_scan(**inputs, delta_softplus=True)
    out.sum().backward()
    assert all(x.grad.isfinite().all() for x in inputs.values())
