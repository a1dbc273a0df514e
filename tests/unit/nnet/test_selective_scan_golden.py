"""Tests of the selective scan against golden tensors of mamba_ssm.

As in the tests of the Triton kernels, those run in Triton's interpreter in one
child process, this file run as a script.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from test_selective_scan_triton import (
    NAMES,
    check,
    interpret,
    relative,
    triton_scan,
)

from speechbrain_fftp.nnet.selective_scan import selective_scan

CASES = ("l7_skip", "l64_full", "l64_stiff")
LONG = ("l1_plain", "l257_gated", "l1024_full")


@pytest.mark.parametrize("name", [*CASES, *LONG])
def test_torch_equals_golden_tensors(shared, name):
    path = shared / "fixtures" / "selective_scan" / f"{name}.npz"
    arrays = np.load(path)
    inputs = {
        name: torch.from_numpy(arrays[name]).requires_grad_()
        for name in NAMES
        if name in arrays
    }
    softplus = bool(arrays["delta_softplus"])
    out, last_state = selective_scan(
        **inputs, delta_softplus=softplus, return_last_state=True
    )
    pairs = [("out", out), ("last_state", last_state)]
    if "w" in arrays:
        (out * torch.from_numpy(arrays["w"])).sum().backward()
        pairs += [(f"grad_{name}", x.grad) for name, x in inputs.items()]
    for key, result in pairs:
        expected = arrays[key]
        error = np.abs(result.detach().numpy() - expected).max()
        assert error <= 1e-4 * np.abs(expected).max(), key


def golden_deviations(path, device="cpu"):
    """How far outputs and gradients of Triton are from a golden file's."""
    arrays = np.load(path)
    golden = {k: torch.tensor(arrays[k], device=device) for k in arrays}
    tensors = {k: golden[k].requires_grad_() for k in NAMES if k in golden}
    softplus = bool(golden["delta_softplus"])
    out, last = triton_scan(**tensors, delta_softplus=softplus)
    found = {"out": relative(out, golden["out"])}
    found["last_state"] = relative(last, golden["last_state"])
    if "w" in golden:
        (out * golden["w"]).sum().backward()
        for name, tensor in tensors.items():
            expected = golden["grad_" + name]
            found["grad_" + name] = relative(tensor.grad, expected)
    return found


@pytest.fixture(scope="module")
def interpreted(shared):
    """What the child process found, by case."""
    return interpret(__file__, shared)


@pytest.mark.parametrize("case", CASES)
def test_triton_equals_golden_tensors(case, interpreted):
    check(interpreted[case], 1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("case", [*CASES, *LONG])
def test_triton_equals_golden_tensors_on_gpu(case, shared):
    path = shared / "fixtures" / "selective_scan" / f"{case}.npz"
    check(golden_deviations(path, "cuda"), 1e-4)


def main():
    """Prints, as JSON, the deviations of the cases."""
    torch.set_num_threads(1)
    folder = Path(sys.argv[1]) / "fixtures" / "selective_scan"
    paths = {name: folder / f"{name}.npz" for name in CASES}
    print(json.dumps({k: golden_deviations(x) for k, x in paths.items()}))


if __name__ == "__main__":
    main()
