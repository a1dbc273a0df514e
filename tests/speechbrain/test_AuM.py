"""Tests of Audio Mamba and its layer.

Authors
 * The speechbrain_fftp authors 2026
"""

import math

import pytest
import torch


@pytest.mark.parametrize("bidirectional", ["fo-bi", "bi-bi"])
@pytest.mark.parametrize("square", [False, True])
@torch.no_grad()
def test_embeddings_do_not_depend_on_padding(device, bidirectional, square):
    from speechbrain.lobes.models.AuM import AuM
    from speechbrain.nnet.patching import FFTPEmbedding, SquarePatchEmbedding

    embedding = FFTPEmbedding(16, 24, patch_frames=10, stride_frames=4)
    if square:
        embedding = SquarePatchEmbedding(16, 24, patch_size=8, stride=5)
    encoder = AuM(16, 24, 2, bidirectional, embedding, 60, pooling="cls+mean")
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    encoder = encoder.to(device).double().eval()
    feats = torch.randn(1, 120, 16, device=device).double()
    counts = [90, 60, 37, 10, 3]  # beyond max_frames, and less than a patch
    alone = torch.cat([encoder(feats[:, :count]) for count in counts])
    lengths = torch.tensor(counts, device=device) / 120
    found = encoder(feats.expand(5, -1, -1), lengths)
    torch.testing.assert_close(found, alone)


def test_initial_values_are_those_of_the_original(device):
    from speechbrain.lobes.models.AuM import AuM

    torch.manual_seed(0)
    encoder = AuM(16, 64, 4, "bi-bi").to(device)
    layer = encoder.blocks[0].mixer
    steps = torch.nn.functional.softplus(layer.dt_proj.bias)
    assert 0.00099 < steps.min() < 0.003 and 0.03 < steps.max() < 0.101
    # Log-uniform: the median is the geometric mean.
    assert abs(steps.log().median() - math.log(0.01)) < 0.5
    assert not layer.dt_proj_b.bias.any()
    # Torch's bound of a layer of that rank, which is 4
    assert 0.4 < layer.dt_proj.weight.abs().max() <= 4**-0.5
    rates = torch.arange(1.0, 17, device=device).expand(128, 16)
    torch.testing.assert_close(layer.A_log.exp(), rates)
    # Torch's bound of a linear layer, over the root of the depth
    largest = layer.out_proj.weight.abs().max().item()
    assert largest == pytest.approx(128**-0.5 / 2, rel=0.01)
    # LeCun's normal distribution, cut at two standard deviations
    patches = encoder.embedding.proj
    weights = patches.weight * 400**0.5  # of 25 frames and 16 bins
    assert weights.std().item() == pytest.approx(1, abs=0.02)
    assert 2.1 < weights.abs().max() < 2 / 0.8796
    assert not patches.bias.any()
    norms = [x for x in encoder.modules() if hasattr(x, "eps")]
    assert len(norms) == 5 and {norm.eps for norm in norms} == {1e-5}


def convolve(weights, suffix, x):
    """A causal convolution of tokens ``[B, N, D]``, and SiLU."""
    kernel = weights[f"conv1d{suffix}.weight"]
    bias = weights[f"conv1d{suffix}.bias"]
    padded = torch.nn.functional.pad(x.mT, (3, 0))
    out = torch.nn.functional.conv1d(padded, kernel, bias, groups=len(kernel))
    return torch.nn.functional.silu(out.mT)


def scan(weights, suffix, A_log, u, z):
    """Scans gated tokens ``[B, N, D]`` from the first to the last."""
    from speechbrain.nnet.selective_scan import selective_scan

    delta, B, C = (u @ weights[f"x_proj{suffix}.weight"].T).split((2, 4, 4), 2)
    delta = delta @ weights[f"dt_proj{suffix}.weight"].T
    return selective_scan(
        u.mT,
        delta.mT,
        -A_log.exp(),
        B.mT,
        C.mT,
        D=weights[f"D{suffix}"],
        z=z.mT,
        delta_bias=weights[f"dt_proj{suffix}.bias"],
        delta_softplus=True,
    ).mT


@pytest.mark.parametrize("bidirectional", ["fo-bi", "bi-bi"])
@torch.no_grad()
def test_layer_is_that_of_the_original(device, bidirectional):
    """Forms v1 and v2 of https://github.com/kaistmm/Audio-Mamba-AuM."""
    from speechbrain.nnet.mamba import Mamba

    torch.manual_seed(0)
    layer = Mamba(24, bidirectional, d_state=4).to(device).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    weights = layer.state_dict()
    tokens = torch.randn(2, 9, 24, dtype=torch.float64, device=device)
    x, z = (tokens @ weights["in_proj.weight"].T).chunk(2, 2)
    u, backward = convolve(weights, "", x), weights["A_b_log"]
    out = scan(weights, "", weights["A_log"], u, z)
    if bidirectional == "fo-bi":  # the sum; the convolution runs forwards
        out = out + scan(weights, "", backward, u.flip(1), z.flip(1)).flip(1)
    else:  # the mean; each direction has its own weights
        u = convolve(weights, "_b", x.flip(1))
        out = out + scan(weights, "_b", backward, u, z.flip(1)).flip(1)
        out = out / 2
    expected = out @ weights["out_proj.weight"].T
    torch.testing.assert_close(layer(tokens), expected)


def test_options_that_do_not_exist_are_errors():
    from speechbrain.lobes.models.AuM import AuM

    for options, named in (
        ({"bidirectional": "both"}, "bidirectional"),
        ({"scan": "numpy"}, "no backend 'numpy'"),
        ({"pooling": "max"}, "pooling"),
    ):
        with pytest.raises(ValueError, match=named):
            AuM(16, 24, 1, **options)(torch.randn(2, 60, 16))
