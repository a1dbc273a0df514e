"""Tests of Audio Mamba and its layer.

Authors
 * The speechbrain_fftp authors 2026
"""

import math

import pytest
import torch


@pytest.mark.parametrize("bidirectional", ["fo-bi", "bi-bi"])
@torch.no_grad()
def test_layer_is_its_equations(device, bidirectional):
    from speechbrain.nnet.mamba import Mamba
    from speechbrain.nnet.selective_scan import selective_scan

    layer = Mamba(12, bidirectional, d_state=4).to(device).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    x = torch.randn(2, 20, 12, dtype=torch.float64, device=device)
    wide, z = layer.in_proj(x).transpose(1, 2).chunk(2, 1)

    def direction(suffix, rates, reverse):
        """The output of one direction, ``[B, D, L]``."""
        conv = getattr(layer, f"conv1d{suffix}")
        tokens = wide.flip(2) if reverse and suffix else wide
        tokens = torch.nn.functional.pad(tokens, (layer.d_conv - 1, 0))
        u = torch.nn.functional.silu(conv(tokens))
        if reverse and suffix:
            u = u.flip(2)
        ranks = (layer.dt_rank, layer.d_state, layer.d_state)
        x_proj = getattr(layer, f"x_proj{suffix}")
        delta, B, C = x_proj(u.transpose(1, 2)).split(ranks, 2)
        delta = getattr(layer, f"dt_proj{suffix}")(delta)
        return selective_scan(
            u,
            torch.nn.functional.softplus(delta).transpose(1, 2),
            -rates.exp(),
            B.transpose(1, 2),
            C.transpose(1, 2),
            D=getattr(layer, f"D{suffix}"),
            z=z,
            reverse=reverse,
        )

    out = direction("", layer.A_log, reverse=False)
    if bidirectional == "fo-bi":
        out = out + direction("", layer.A_b_log, reverse=True)
    else:
        out = (out + direction("_b", layer.A_b_log, reverse=True)) / 2
    expected = layer.out_proj(out.transpose(1, 2))
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("bidirectional", ["fo-bi", "bi-bi"])
@pytest.mark.parametrize("square", [False, True])
@torch.no_grad()
def test_embeddings_do_not_depend_on_padding(device, bidirectional, square):
    from speechbrain.lobes.models.AuM import AuM
    from speechbrain.nnet.patching import FFTPEmbedding, SquarePatchEmbedding

    embedding = FFTPEmbedding(16, 24, patch_frames=10, stride_frames=4)
    if square:
        embedding = SquarePatchEmbedding(16, 24, patch_size=8, stride=5)
    encoder = AuM(
        n_mels=16,
        embed_dim=24,
        depth=2,
        bidirectional=bidirectional,
        embedding=embedding,
        max_frames=60,
        d_state=4,
        pooling="cls+mean",
    )
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    encoder = encoder.to(device).double().eval()
    frames = (90, 60, 37, 10, 3)
    clips = [
        torch.randn(1, n, 16, dtype=torch.float64, device=device)
        for n in frames
    ]
    alone = torch.cat([encoder(clip) for clip in clips])
    batch = torch.full((5, 120, 16), torch.nan, dtype=torch.float64)
    batch = batch.to(device)
    for row, clip in zip(batch, clips):
        row[: clip.shape[1]] = clip[0]
    lengths = torch.tensor(frames, device=device) / 120
    torch.testing.assert_close(encoder(batch, lengths), alone)


@torch.no_grad()
def test_the_class_token_is_in_the_middle(device):
    from speechbrain.lobes.models.AuM import AuM
    from speechbrain.nnet.patching import SquarePatchEmbedding

    embedding = SquarePatchEmbedding(16, 24, patch_size=8, stride=5)
    encoder = AuM(16, 24, depth=1, embedding=embedding, max_frames=60)
    encoder = encoder.to(device).eval()
    torch.nn.init.normal_(encoder.cls_token)
    seen = []
    encoder.blocks[0].register_forward_pre_hook(
        lambda block, inputs: seen.append(inputs)
    )
    feats = torch.randn(2, 60, 16, device=device)
    encoder(feats, torch.tensor([1.0, 0.45], device=device))
    batch, counts = seen[0]
    for tokens, count, frames in zip(batch, counts.tolist(), (60, 27)):
        assert count == embedding.num_patches(frames) + 1
        middle = tokens[(count - 1) // 2]
        torch.testing.assert_close(middle, encoder.cls_token)


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


def test_low_precision_weights_are_scanned_in_float32(device):
    from speechbrain.lobes.models.AuM import AuM

    torch.manual_seed(0)
    encoder = AuM(embed_dim=32, depth=2).to(device).eval()
    feats = torch.randn(2, 100, 128, device=device)
    expected = encoder(feats)
    found = encoder.bfloat16()(feats.bfloat16())
    assert found.dtype == torch.bfloat16
    assert (found.float() - expected).norm() < 0.1 * expected.norm()


def test_another_form_is_an_error():
    from speechbrain.nnet.mamba import Mamba

    with pytest.raises(ValueError, match="bidirectional"):
        Mamba(24, bidirectional="both")
