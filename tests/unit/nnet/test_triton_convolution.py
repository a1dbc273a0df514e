"""Tests of Mamba's convolution in Triton against torch's conv1d.

Without a GPU, a child process runs the kernels in Triton's interpreter.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import os
import subprocess
import sys

import pytest
import torch

CASES = {  # batch, steps, channels, kernel, whether in reverse, dtype
    "small": (2, 7, 5, 4, False, "float32"),
    "reverse": (2, 7, 5, 4, True, "float32"),
    "one_step": (1, 1, 3, 4, True, "float32"),
    "tiles": (2, 37, 70, 4, False, "float32"),
    "tiles_reverse": (2, 37, 70, 4, True, "float32"),
    "three_taps": (1, 20, 66, 3, True, "float32"),
    "bfloat16": (2, 20, 8, 4, False, "bfloat16"),
}


def reference(x, weight, bias, reverse):
    """The same in float64, with torch's convolution."""
    x, weight, bias = (tensor.double() for tensor in (x, weight, bias))
    zeros = weight.shape[2] - 1
    x = torch.nn.functional.pad(
        x.transpose(1, 2), (0, zeros) if reverse else (zeros, 0)
    )
    weight = weight.flip(2) if reverse else weight
    out = torch.nn.functional.conv1d(x, weight, bias, groups=len(bias))
    return torch.nn.functional.silu(out).transpose(1, 2)


def deviations(batch, steps, channels, kernel, reverse, dtype, device="cpu"):
    """Largest errors of output and gradients, relative to the largest value."""
    from speechbrain_fftp.nnet.selective_scan import triton_convolution

    torch.manual_seed(0)
    options = {"device": device}
    dtype = getattr(torch, dtype)
    wide = torch.randn(batch, steps, 2 * channels, **options).to(dtype)
    weight = torch.randn(channels, 1, kernel, **options)
    tensors = [wide, weight, torch.randn(channels, **options)]
    for tensor in tensors:
        tensor.requires_grad_()
    weights = torch.randn(batch, steps, channels, **options).to(dtype).double()
    convolve = triton_convolution._triton_convolve
    results = []
    for function in (convolve, reference):
        # The channels are half of each row, as after in_proj
        out = function(wide[..., channels:], *tensors[1:], reverse)
        grads = torch.autograd.grad((out.double() * weights).sum(), tensors)
        results.append([out, *grads])
    return [
        float((a.double() - b.double()).abs().max() / b.abs().max())
        for a, b in zip(*results)
    ]


@pytest.fixture(scope="module")
def interpreted():
    """What the child process found, by case."""
    pytest.importorskip("triton", reason="Triton is not installed")
    child = subprocess.run(
        [sys.executable, __file__],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
    )
    assert child.returncode == 0, child.stderr[-3000:]
    return json.loads(child.stdout.splitlines()[-1])


def limit(case):
    """The largest deviation that rounding explains."""
    return 1e-2 if "bfloat16" in CASES[case] else 1e-5


@pytest.mark.parametrize("case", CASES)
def test_equals_conv1d(case, interpreted):
    """Outputs and gradients in the interpreter."""
    assert max(interpreted[case]) < limit(case)


def test_a_mamba_layer_uses_it(interpreted):
    """Layers, also compiled ones, equal those in torch."""
    assert max(interpreted["layers"]) < 1e-5
    assert max(interpreted["compiled"]) < 1e-5


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("case", CASES)
def test_equals_conv1d_on_gpu(case):
    """Outputs and gradients of the compiled kernels."""
    assert max(deviations(*CASES[case], device="cuda")) < limit(case)


def layer_deviations():
    """How far layers with Triton's kernels are from those in torch."""
    from speechbrain_fftp.nnet.mamba import Mamba

    found, compiled = [], []
    for kind in ("fo-bi", "bi-bi"):
        layers = [Mamba(8, kind, 4, backend=b) for b in ("torch", "triton")]
        layers[1].load_state_dict(layers[0].state_dict())
        x = torch.randn(2, 9, 8)
        lengths = torch.tensor([9, 4])
        grads = []
        whole = torch.compile(layers[1], backend="aot_eager", fullgraph=True)
        for layer in (*layers, whole):
            out = layer(x, lengths)
            parameters = list(layers[layer is not layers[0]].parameters())
            grads.append(
                [out, *torch.autograd.grad(out.square().sum(), parameters)]
            )
        for other, where in ((grads[1], found), (grads[2], compiled)):
            where += (
                float((a - b).abs().max() / b.abs().max())
                for a, b in zip(other, grads[0])
            )
    return {"layers": found, "compiled": compiled}


def main():
    """Prints, as JSON, the deviations of all cases."""
    from speechbrain_fftp.nnet.selective_scan import triton_convolution

    torch.set_num_threads(1)
    inputs = torch.randn(2, 5, 3), torch.randn(3, 4), torch.randn(3)
    inputs = [x.requires_grad_() for x in inputs]
    torch.library.opcheck(triton_convolution._convolve, (*inputs, True))
    found = {name: deviations(*case) for name, case in CASES.items()}
    print(json.dumps({**found, **layer_deviations()}))


if __name__ == "__main__":
    main()
