"""Tests of the linear layers by oneDNN.

Authors
 * The speechbrain_fftp authors 2026
"""

import copy
import pickle

import pytest
import torch

from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.nnet import onednn
from speechbrain_fftp.nnet.onednn import (
    Linear,
    attention,
    linear,
    matmul,
    pack_weights,
)
from speechbrain_fftp.nnet.patching import SquarePatchEmbedding
from speechbrain_fftp.utils.complexity import count_macs

needs_onednn = pytest.mark.skipif(
    not onednn.HAS_ONEDNN, reason="PyTorch without oneDNN"
)


@pytest.fixture(autouse=True)
def by_onednn(monkeypatch):
    """Products are oneDNN's, on processors that gain nothing by it too."""
    monkeypatch.setattr(onednn, "BY_ONEDNN", onednn.HAS_ONEDNN)


@pytest.fixture
def products(monkeypatch):
    """The shapes of the products that oneDNN computed; any size will do."""
    shapes = []
    apply = onednn._OneDNNLinear.apply

    def recorder(x, weight, bias):
        shapes.append((*x.shape, len(weight)))
        return apply(x, weight, bias)

    monkeypatch.setattr(onednn._OneDNNLinear, "apply", recorder)
    monkeypatch.setattr(onednn, "LEAST_PRODUCT", 1)
    return shapes


def values(with_bias, shape=(3, 7, 50), outputs=64):
    torch.manual_seed(0)
    x, weight = torch.randn(shape), torch.randn(outputs, shape[-1])
    bias = torch.randn(outputs) if with_bias else None
    return [v if v is None else v.requires_grad_() for v in (x, weight, bias)]


def all_gradients(function, inputs):
    """Output, its gradients, and the gradients of these."""
    inputs = [v for v in inputs if v is not None]
    output = function(*inputs)
    loss = output.sin().sum()
    first = torch.autograd.grad(loss, inputs, create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), inputs)
    return output, *first, *second


@needs_onednn
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("shape", [(3, 7, 50), (7, 50), (50,)])
def test_values_and_gradients_are_torchs(with_bias, shape, products):
    inputs = values(with_bias, shape)
    found = all_gradients(linear, inputs)
    assert products[0] == (*shape, 64)
    assert len(products) > 3  # backward as well
    expected = all_gradients(torch.nn.functional.linear, inputs)
    for one, other in zip(found, expected):
        error = (one - other).abs().max() / other.abs().max()
        assert one.shape == other.shape and error < 1e-4


@needs_onednn
def test_product_with_a_matrix(products):
    x, weight, _ = values(False)
    found = all_gradients(matmul, [x, weight.t()])
    assert products[0] == (3, 7, 50, 64)
    for one, other in zip(found, all_gradients(torch.matmul, [x, weight.t()])):
        assert (one - other).abs().max() < 1e-4 * other.abs().max()


@needs_onednn
def test_gradients_that_nobody_needs_are_left_out(products):
    x, weight, bias = values(True)
    linear(x.detach(), weight, bias).sum().backward()
    assert x.grad is None and weight.grad is not None
    assert len(products) == 2
    weight.requires_grad_(False)
    linear(x, weight, bias).sum().backward()
    assert x.grad is not None and len(products) == 4


@needs_onednn
def test_other_cases_are_left_to_torch(products, monkeypatch):
    layer, x = Linear(50, 64), torch.randn(7, 50)
    assert layer.double()(x.double()).dtype == torch.float64
    layer.float()
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
    assert layer(x[:0]).shape == (0, 64)
    assert layer.to("meta")(x.to("meta")).shape == (7, 64)
    program = torch.export.export(Linear(50, 64), (x,))
    assert "mkldnn" not in str(program.graph)
    assert not products
    monkeypatch.setattr(onednn, "LEAST_PRODUCT", 7 * 50 * 64)
    Linear(50, 64)(x)
    Linear(50, 63)(x)
    assert products == [(7, 50, 64)]


@needs_onednn
@pytest.mark.parametrize("tokens", [256, 700])
def test_attention_is_torchs(tokens, products):
    torch.manual_seed(0)
    qkv = torch.randn(2, tokens, 3, 3, 16).permute(2, 0, 3, 1, 4)
    found = attention(*qkv)
    assert len(products) == 2 * 3 * 2 * -(-tokens // onednn.BLOCK_TOKENS)
    expected = torch.nn.functional.scaled_dot_product_attention(*qkv)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert found.stride() == expected.stride()


def test_attention_is_left_to_torch(products):
    qkv = torch.randn(3, 2, 3, 256, 16)
    mask = torch.rand(2, 1, 1, 256) < 0.5
    expected = torch.nn.functional.scaled_dot_product_attention(*qkv, mask)
    assert torch.equal(attention(*qkv, mask), expected)
    assert attention(*qkv, dropout=1.0).count_nonzero() == 0
    attention(*qkv[:, :, :, 1:])
    attention(*qkv.requires_grad_()).sum().backward()
    assert qkv.grad is not None and not products


def test_encoder_is_the_same_without_onednn(products):
    torch.manual_seed(0)
    embedding = SquarePatchEmbedding(128, 48)
    encoder = AST(embed_dim=48, depth=2, num_heads=3, embedding=embedding)
    feats = torch.randn(3, 300, 128)
    for lens in (None, torch.tensor([1.0, 0.3, 0.61])):
        with torch.inference_mode():
            found = encoder(feats, lens)
            done = len(products)
            with onednn.left_to_torch():
                expected = encoder(feats, lens)
            macs = count_macs(encoder, feats, lens)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
        assert macs == count_macs(encoder, feats, lens)
        assert len(products) == done
        assert bool(done) == onednn.HAS_ONEDNN


def test_weights_have_the_names_of_torchs():
    layer = Linear(5, 3)
    layer.load_state_dict(torch.nn.Linear(5, 3).state_dict())
    assert isinstance(layer, torch.nn.Linear)


def packed_layer():
    torch.manual_seed(0)
    layer = Linear(1024, 512)
    pack_weights(torch.nn.ModuleList([layer]))
    return layer, torch.randn(3, 700, 1024)


def plain(layer, x):
    return torch.nn.functional.linear(x, layer.weight, layer.bias)


@needs_onednn
@torch.no_grad()
def test_packed_weights_give_torchs_values_until_they_change():
    layer, x = packed_layer()
    torch.testing.assert_close(layer(x), plain(layer, x), rtol=0, atol=1e-4)
    with torch.inference_mode():
        found = layer(x)
    torch.testing.assert_close(found, plain(layer, x), rtol=0, atol=1e-4)
    # The second copy is what is used, as long as it is one.
    other = Linear(1024, 512)
    other.pack()
    layer._packed = other._packed
    expected = torch.nn.functional.linear(x, other.weight, layer.bias)
    torch.testing.assert_close(layer(x), expected, rtol=0, atol=1e-4)
    layer.load_state_dict({k: 2 * v for k, v in layer.state_dict().items()})
    torch.testing.assert_close(layer(x), plain(layer, x), rtol=0, atol=1e-4)


@needs_onednn
def test_a_packed_layer_learns_and_can_be_copied():
    layer, x = packed_layer()
    assert set(layer.state_dict()) == {"weight", "bias"}
    layer(x).sum().backward()
    assert layer.weight.grad.any()
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert twin._packed is None
        with torch.no_grad():
            torch.testing.assert_close(twin(x), plain(layer, x))


@torch.no_grad()
def test_other_layers_are_not_packed(monkeypatch):
    double, half = Linear(4, 4).double(), Linear(4, 4).bfloat16()
    with torch.inference_mode():
        fixed = Linear(4, 4)
    pack_weights(torch.nn.ModuleList([double, half, fixed, torch.nn.ReLU()]))
    assert [m._packed for m in (double, half, fixed)] == [None] * 3
    monkeypatch.setattr(onednn, "BY_ONEDNN", False)
    layer = Linear(4, 4)
    pack_weights(layer)
    assert layer._packed is None


@needs_onednn
@pytest.mark.parametrize(
    "vendor, capability, expected",
    [
        ("AuthenticAMD", "AVX512", True),
        ("AuthenticAMD", "AVX512_VNNI", True),
        ("AuthenticAMD", "AVX2", False),
        ("GenuineIntel", "AVX512", False),
    ],
)
@pytest.mark.parametrize("linux", [True, False])
def test_only_processors_that_gain_by_it_use_it(
    vendor, capability, expected, linux, monkeypatch, tmp_path
):
    info = tmp_path / "cpuinfo"
    if linux:
        info.write_text(f"processor : 0\nvendor_id : {vendor}\n")
    monkeypatch.setattr(onednn, "CPU_INFO", info)
    name = f"Family 6 Model 85 Stepping 7, {vendor}"
    monkeypatch.setattr(onednn.platform, "processor", lambda: name)
    monkeypatch.setattr(
        torch.backends.cpu, "get_cpu_capability", lambda: capability
    )
    assert onednn._gains_by_onednn() == expected
