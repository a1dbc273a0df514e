"""Tests of linear layers and attention with oneDNN.

Authors
 * The speechbrain_fftp authors 2026
"""

import copy
import pickle

import pytest
import torch

from speechbrain_fftp.inference import packed_linear
from speechbrain_fftp.inference.packed_linear import (
    _blocked_attention,
    _PackedLinear,
    pack_linear,
)
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.metrics.complexity import count_macs
from speechbrain_fftp.nnet.patching import SquarePatchEmbedding

pytestmark = pytest.mark.skipif(
    not packed_linear.HAS_ONEDNN, reason="PyTorch without oneDNN"
)


@pytest.fixture
def calls(monkeypatch):
    """The shapes that oneDNN multiplied; any size is large enough."""
    shapes = []
    multiply = packed_linear._multiply

    def recorder(x, weight, bias=None):
        shapes.append((*x.shape, len(weight)))
        return multiply(x, weight, bias)

    monkeypatch.setattr(packed_linear, "_multiply", recorder)
    monkeypatch.setattr(packed_linear, "MIN_MACS", 1)
    return shapes


def packed_layer(bias=True):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(50, 64, bias=bias))
    assert pack_linear(model, force=True) == 1
    return model[0]


def plain(layer, x):
    return torch.nn.functional.linear(x, layer.weight, layer.bias)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(3, 7, 50), (7, 50), (50,)])
def test_values_are_those_of_torch(bias, shape, calls):
    layer, x = packed_layer(bias), torch.randn(shape)
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            torch.testing.assert_close(layer(x), plain(layer, x))
    assert calls == [(*shape, 64)] * 2


@torch.no_grad()
def test_the_packed_copy_is_used_and_follows_the_weight(calls):
    layer, x = packed_layer(), torch.randn(700, 50)
    layer(x)
    other = packed_layer()
    other.weight.mul_(3)
    other(x)
    own, layer._packed = layer._packed, other._packed
    torch.testing.assert_close(layer(x) - layer.bias, 3 * x @ layer.weight.T)
    layer._packed = own
    layer.load_state_dict({k: 2 * v for k, v in layer.state_dict().items()})
    torch.testing.assert_close(layer(x), plain(layer, x))
    layer.weight = torch.nn.Parameter(torch.randn(64, 50))
    torch.testing.assert_close(layer(x), plain(layer, x))
    assert len(calls) == 5


def test_a_packed_layer_learns_and_can_be_copied(calls):
    layer, x = packed_layer(), torch.randn(7, 50, requires_grad=True)
    with torch.no_grad():
        layer(x)
    assert set(layer.state_dict()) == {"weight", "bias"}
    layer(x).sum().backward()
    assert layer.weight.grad.any() and x.grad.any() and len(calls) == 1
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert type(twin) is _PackedLinear and twin._packed is None
        with torch.no_grad():
            torch.testing.assert_close(twin(x), plain(layer, x))
    assert len(calls) == 3


@torch.no_grad()
def test_other_cases_are_computed_by_torch(calls, monkeypatch):
    layer, x = packed_layer(), torch.randn(7, 50)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
    assert layer(x[:0]).shape == (0, 64)
    program = torch.export.export(layer, (x,))
    assert "mkldnn" not in str(program.graph)
    assert copy.deepcopy(layer).double()(x.double()).dtype == torch.float64
    assert copy.deepcopy(layer).to("meta")(x.to("meta")).shape == (7, 64)
    assert not calls
    monkeypatch.setattr(packed_linear, "MIN_MACS", 7 * 50 * 64)
    layer(x[:6])
    assert not calls
    layer(x)
    assert calls == [(7, 50, 64)]


def test_other_layers_are_not_replaced(monkeypatch):
    with torch.inference_mode():
        fixed = torch.nn.Linear(4, 4)
    model = torch.nn.ModuleList(
        [
            torch.nn.Linear(4, 4).double(),
            torch.nn.Linear(4, 4, device="meta"),
            fixed,
            torch.nn.ReLU(),
        ]
    )
    assert pack_linear(model, force=True) == 0
    monkeypatch.setattr(packed_linear, "_cpu_benefits", lambda: False)
    model = torch.nn.Sequential(torch.nn.Linear(4, 4))
    assert pack_linear(model) == 0 and type(model[0]) is torch.nn.Linear
    monkeypatch.setattr(packed_linear, "_cpu_benefits", lambda: True)
    assert pack_linear(model) == 1
    assert pack_linear(model) == 0  # it is already


@pytest.mark.parametrize("tokens", [256, 700])
@torch.no_grad()
def test_attention_is_that_of_torch(tokens, calls):
    torch.manual_seed(0)
    qkv = torch.randn(2, tokens, 3, 3, 16).permute(2, 0, 3, 1, 4)
    found = _blocked_attention(*qkv)
    blocks = -(-tokens // packed_linear.BLOCK_TOKENS)
    assert len(calls) == 2 * 3 * 2 * blocks
    expected = torch.nn.functional.scaled_dot_product_attention(*qkv)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert found.stride() == expected.stride()


def test_other_attention_is_computed_by_torch(calls):
    qkv = torch.randn(3, 2, 3, 256, 16)
    mask = torch.rand(2, 1, 1, 256) < 0.5
    expected = torch.nn.functional.scaled_dot_product_attention(*qkv, mask)
    assert torch.equal(_blocked_attention(*qkv, mask), expected)
    assert _blocked_attention(*qkv, dropout_p=1.0).count_nonzero() == 0
    _blocked_attention(*qkv[:, :, :, 1:])
    _blocked_attention(*qkv.requires_grad_()).sum().backward()
    assert qkv.grad is not None and not calls


def make_ast():
    embedding = SquarePatchEmbedding(128, 48)
    return AST(embed_dim=48, depth=2, num_heads=3, embedding=embedding)


def make_aum():
    return AuM(embed_dim=32, depth=2)


@pytest.mark.parametrize("make, layers", [(make_ast, 8), (make_aum, 8)])
def test_a_packed_encoder_is_the_same(make, layers, calls):
    torch.manual_seed(0)
    encoder = make().eval()
    feats = torch.randn(3, 300, 128)
    names = list(encoder.state_dict())
    for lens in (None, torch.tensor([1.0, 0.3, 0.61])):
        packed = copy.deepcopy(encoder)
        assert pack_linear(packed, force=True) == layers
        packed = pickle.loads(pickle.dumps(copy.deepcopy(packed)))
        assert list(packed.state_dict()) == names
        packed.load_state_dict(encoder.state_dict())
        with torch.inference_mode():
            expected, found = encoder(feats, lens), packed(feats, lens)
        assert calls
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
        calls.clear()
        with torch.no_grad():
            macs = count_macs(packed.requires_grad_(False), feats, lens)
        assert macs == count_macs(encoder, feats, lens) and not calls


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
def test_only_cpus_that_benefit_use_it(
    vendor, capability, expected, linux, monkeypatch, tmp_path
):
    info = tmp_path / "cpuinfo"
    if linux:
        info.write_text(f"processor : 0\nvendor_id : {vendor}\n")
    monkeypatch.setattr(packed_linear, "CPU_INFO", info)
    name = f"Family 6 Model 85 Stepping 7, {vendor}"
    monkeypatch.setattr(packed_linear.platform, "processor", lambda: name)
    monkeypatch.setattr(
        torch.backends.cpu, "get_cpu_capability", lambda: capability
    )
    model = torch.nn.Sequential(torch.nn.Linear(4, 4))
    assert pack_linear(model) == expected
