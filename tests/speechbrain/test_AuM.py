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
    # Longer than max_frames, and shorter than a patch
    clips = [torch.randn(n, 16, device=device) for n in (90, 60, 37, 10, 3)]
    clips = [clip.double() for clip in clips]
    alone = torch.cat([encoder(clip[None]) for clip in clips])
    batch = torch.nn.utils.rnn.pad_sequence(clips, True, torch.nan)
    batch = torch.nn.functional.pad(batch, (0, 0, 0, 30), value=torch.nan)
    lengths = torch.tensor([len(clip) for clip in clips], device=device) / 120
    torch.testing.assert_close(encoder(batch, lengths), alone)


def test_initial_step_sizes_and_decay_rates(device):
    from speechbrain.nnet.mamba import Mamba

    torch.manual_seed(0)
    layer = Mamba(64, "bi-bi").to(device)
    steps = torch.nn.functional.softplus(layer.dt_proj.bias)
    assert 0.00099 < steps.min() < 0.003 and 0.03 < steps.max() < 0.101
    # Log-uniform: the median is the geometric mean.
    assert abs(steps.log().median() - math.log(0.01)) < 0.5
    assert not layer.dt_proj_b.bias.any()
    rates = torch.arange(1.0, 17, device=device).expand(128, 16)
    torch.testing.assert_close(layer.A_log.exp(), rates)


@pytest.mark.parametrize("bidirectional", ["fo-bi", "bi-bi"])
@torch.no_grad()
def test_directions_mirror_each_other(device, bidirectional):
    """Reversed tokens and swapped directions give the reversed output."""
    from speechbrain.nnet.mamba import Mamba

    torch.manual_seed(0)
    # The one convolution of fo-bi runs forwards, so it is left out
    options = {"d_state": 4, "d_conv": 1 if bidirectional == "fo-bi" else 4}
    layer = Mamba(24, bidirectional, **options).to(device).double()
    mirrored = Mamba(24, bidirectional, **options).to(device).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    weights = layer.state_dict()
    for name in [name for name in weights if "_b" in name]:
        other = name.replace("_b", "")
        weights[name], weights[other] = weights[other], weights[name]
    mirrored.load_state_dict(weights)
    tokens = torch.randn(2, 30, 24, device=device).double()
    out = layer(tokens)
    torch.testing.assert_close(mirrored(tokens.flip(1)), out.flip(1))
    assert not torch.allclose(layer(tokens.flip(1)), out.flip(1))


def test_options_that_do_not_exist_are_errors():
    from speechbrain.lobes.models.AuM import AuM

    for options, named in (
        ({"bidirectional": "both"}, "bidirectional"),
        ({"scan": "numpy"}, "no backend 'numpy'"),
    ):
        with pytest.raises(ValueError, match=named):
            AuM(16, 24, 1, **options)(torch.randn(2, 60, 16))
