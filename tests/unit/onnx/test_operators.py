"""Tests of operators in ONNX, with arguments that our encoders do not use.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import torch

from speechbrain_fftp.nnet.selective_scan import selective_scan

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
from speechbrain_fftp.onnx.operators import OPERATORS, OPSET  # noqa: E402


class Function(torch.nn.Module):
    """A function with constant options."""

    def __init__(self, function, **options):
        super().__init__()
        self.function = function
        self.options = options

    def forward(self, *inputs):
        return self.function(*inputs, **self.options)


def compare(module, *inputs):
    """Runs a module in PyTorch and, exported, in ONNX Runtime."""
    program = torch.onnx.export(
        module.eval(),
        inputs,
        dynamo=True,
        verbose=False,
        opset_version=OPSET,
        custom_translation_table=OPERATORS,
    )
    content = program.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(content)
    names = [x.name for x in session.get_inputs()]
    arrays = [x.numpy() for x in inputs]
    (found,) = session.run(None, dict(zip(names, arrays)))
    np.testing.assert_allclose(found, module(*inputs), atol=1e-5)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("softplus", [False, True])
def test_scan_without_gate_bias_and_lengths(reverse, softplus):
    torch.manual_seed(0)
    batch, width, states, steps = 2, 6, 4, 11
    compare(
        Function(selective_scan, reverse=reverse, delta_softplus=softplus),
        torch.randn(batch, width, steps),
        torch.rand(batch, width, steps),
        -torch.rand(width, states),
        torch.randn(batch, states, steps),
        torch.randn(batch, states, steps),
    )


@pytest.mark.parametrize(
    "options", [{"is_causal": True}, {"scale": 0.3}, {}], ids=str
)
def test_attention(options):
    torch.manual_seed(0)
    tokens = torch.randn(3, 2, 2, 7, 4).unbind()
    attend = torch.nn.functional.scaled_dot_product_attention
    compare(Function(attend, **options), *tokens)


def test_attention_with_a_mask():
    torch.manual_seed(0)
    tokens = torch.randn(3, 2, 2, 7, 4).unbind()
    mask = torch.rand(2, 1, 1, 7) < 0.7
    attend = torch.nn.functional.scaled_dot_product_attention
    compare(Function(attend), *tokens, mask)


@pytest.mark.parametrize("dimension", [1, 2])
def test_windows(dimension):
    feats = torch.randn(2, 17, 19, generator=torch.Generator().manual_seed(0))
    arguments = {"dimension": dimension, "size": 5, "step": 3}
    compare(Function(torch.Tensor.unfold, **arguments), feats)


@pytest.mark.parametrize("size", [12, 9, None])
def test_fourier_transform(size):
    """Of frames that are padded, cut, or neither."""
    frames = torch.randn(2, 5, 10, generator=torch.Generator().manual_seed(0))

    def power(x):
        """The power spectrum."""
        spectrum = torch.fft.rfft(x, size)
        return spectrum.real.square() + spectrum.imag.square()

    compare(Function(power), frames)
