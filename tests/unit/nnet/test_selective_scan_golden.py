"""The selective scan against golden tensors of mamba_ssm, with each backend.

Without a GPU, the Triton kernels run in Triton's interpreter, in a child
process, since it must be chosen before Triton is imported.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from speechbrain_fftp.nnet.selective_scan import selective_scan

NAMES = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias")
SHORT = ("l7_skip", "l64_stiff")
LONG = ("l1_plain", "l64_full", "l257_gated", "l1024_full")
KERNELS = Path(__file__).with_name("test_triton_scan.py")
has_gpu = torch.cuda.is_available()
interprets = os.environ.get("TRITON_INTERPRET") == "1"


@pytest.fixture
def golden(shared, name):
    """The arrays of a file."""
    return np.load(shared / "fixtures" / "selective_scan" / f"{name}.npz")


def check(arrays, backend, device="cpu"):
    """Compares outputs and gradients with golden ones."""
    inputs = {
        name: torch.tensor(arrays[name], device=device, requires_grad=True)
        for name in NAMES
        if name in arrays
    }
    out, last_state = selective_scan(
        **inputs,
        delta_softplus=bool(arrays["delta_softplus"]),
        return_last_state=True,
        backend=backend,
    )
    results = {"out": out, "last_state": last_state}
    if "w" in arrays:
        weights = torch.tensor(arrays["w"], device=device)
        (out * weights).sum().backward()
        results |= {f"grad_{name}": x.grad for name, x in inputs.items()}
    for key, result in results.items():
        expected = arrays[key]
        error = np.abs(result.detach().cpu().numpy() - expected).max()
        assert error <= 1e-4 * np.abs(expected).max(), key


@pytest.mark.parametrize("name", [*SHORT, *LONG])
def test_torch(golden):
    check(golden, "torch")


@pytest.mark.gpu
@pytest.mark.skipif(not has_gpu and not interprets, reason="see test_kernels")
@pytest.mark.parametrize("name", SHORT)
def test_triton(golden):
    check(golden, "triton", "cuda" if has_gpu else "cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not has_gpu, reason="there is no GPU")
@pytest.mark.parametrize("name", [*SHORT, *LONG])
def test_mamba_ssm(golden):
    pytest.importorskip("mamba_ssm")
    check(golden, "mamba_ssm", "cuda")


@pytest.mark.skipif(has_gpu or interprets, reason="run in this process")
@pytest.mark.parametrize(
    "chosen",
    [
        # Few of the cases that take many seconds there
        "triton and not (blocks] or segments] or two or sums or graph or l64)",
        pytest.param("triton", marks=pytest.mark.slow),
    ],
)
def test_kernels_in_the_interpreter(chosen):
    pytest.importorskip("triton", reason="Triton is not installed")
    words = ["-q", "-n0", "-k", chosen, KERNELS, __file__]
    child = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
    )
    assert child.returncode == 0, child.stdout[-3000:]


def test_mamba_ssm_gets_what_it_expects(monkeypatch):
    """Its kernel, here that in PyTorch, has neither lengths nor a direction."""

    def kernel(u, delta, A, B, C, D, z, delta_bias, delta_softplus, **options):
        assert A.dtype == torch.float32
        scan = (u, delta, A, B, C, D, z, delta_bias, delta_softplus)
        return selective_scan(*scan, **options, backend="torch")

    module = types.SimpleNamespace(selective_scan_fn=kernel)
    for name in ("", ".ops", ".ops.selective_scan_interface"):
        monkeypatch.setitem(sys.modules, f"mamba_ssm{name}", module)
    sequences = {name: torch.randn(3, 6, 21) for name in ("u", "delta", "z")}
    sequences |= {name: torch.randn(3, 4, 21) for name in ("B", "C")}
    A = -torch.rand(2, 6, 4)  # of both directions
    for lengths in (None, torch.tensor([21, 10, 1])):
        found, expected = (
            selective_scan(
                **sequences,
                A=A,
                D=torch.ones(6),
                delta_bias=torch.arange(6.0) / 6,
                delta_softplus=True,
                lengths=lengths,
                backend=backend,
            )
            for backend in ("mamba_ssm", "torch")
        )
        torch.testing.assert_close(found, expected)
