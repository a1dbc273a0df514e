"""Tests of the Mamba layer and its block; its equations are in tests/for_speechbrain.

Authors
 * The speechbrain_fftp authors 2026
"""

import math

import pytest
import torch

from speechbrain_fftp.nnet.mamba import Mamba, MambaBlock

FORMS = ["fo-bi", "bi-bi", False]


def make_layer(form, width=8, **options):
    """A layer whose weights are not small."""
    torch.manual_seed(5)
    layer = Mamba(width, form, d_state=4, **options).double()
    for name, parameter in layer.named_parameters():
        if "A_" not in name:
            torch.nn.init.normal_(parameter, std=0.5)
    return layer


@torch.no_grad()
@pytest.mark.parametrize("parts", [[1] * 12, [5, 1, 6]])
def test_a_stream_gives_what_the_whole_sequence_does(parts):
    layer = make_layer(False)
    x = torch.randn(2, 12, 8, dtype=torch.float64)
    state, outputs = None, []
    for part in x.split(parts, 1):
        out, state = layer.step(part, state)
        outputs.append(out)
    torch.testing.assert_close(torch.cat(outputs, 1), layer(x))
    assert [s.shape for s in state] == [(2, 3, 16), (2, 16, 4)]


@torch.no_grad()
def test_forward_only_is_causal_and_the_others_are_not():
    x = torch.randn(1, 12, 8, dtype=torch.float64)
    changed = x.clone()
    changed[:, 6:] += 1
    for form in FORMS:
        layer = make_layer(form)
        same = layer(x)[:, :6].allclose(layer(changed)[:, :6])
        assert same == (form is False)


def test_initial_values():
    torch.manual_seed(0)
    layer = Mamba(64, "bi-bi")
    assert layer.dt_rank == 4 and layer.d_inner == 128
    steps = torch.nn.functional.softplus(layer.dt_proj.bias)
    assert 0.00099 < steps.min() < 0.003 and 0.03 < steps.max() < 0.101
    # Log-uniform: the median is the geometric mean.
    assert steps.log().median().item() == pytest.approx(math.log(0.01), abs=0.5)
    assert not layer.dt_proj_b.bias.any()
    for A_log in (layer.A_log, layer.A_b_log):
        rates = torch.arange(1.0, 17).expand(128, 16)
        torch.testing.assert_close(A_log.exp(), rates)
    assert (layer.D == 1).all() and (layer.D_b == 1).all()
    assert abs(layer.dt_proj.weight).max() <= 0.5


def test_bfloat16_weights_are_scanned_in_float32():
    layer = make_layer("fo-bi", width=32).float()
    x = torch.randn(2, 100, 32)
    expected = layer(x)
    out = layer.bfloat16()(x.bfloat16())
    assert out.dtype == torch.bfloat16
    error = (out.float() - expected).norm() / expected.norm()
    assert error < 0.03


@torch.no_grad()
def test_block_normalises_and_keeps_the_residual():
    block = MambaBlock(8, bidirectional=False)
    x = torch.randn(2, 12, 8) * 5 + 3
    rms = x.square().mean(2, keepdim=True).add(1e-5).sqrt()
    torch.testing.assert_close(block(x), x + block.mixer(x / rms))
    out, _ = block.step(x)
    torch.testing.assert_close(out, block(x))
