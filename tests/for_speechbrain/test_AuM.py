"""Tests of Audio Mamba and its layer.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch


@pytest.mark.parametrize("bidirectional", ["fo-bi", "bi-bi", False])
@torch.no_grad()
def test_layer_is_its_equations(device, bidirectional):
    from speechbrain_fftp.nnet.mamba import Mamba
    from speechbrain_fftp.nnet.selective_scan import selective_scan

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
    elif bidirectional == "bi-bi":
        out = (out + direction("_b", layer.A_b_log, reverse=True)) / 2
    expected = layer.out_proj(out.transpose(1, 2))
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("bidirectional", ["fo-bi", "bi-bi", False])
@pytest.mark.parametrize("square", [False, True])
@torch.no_grad()
def test_embeddings_do_not_depend_on_padding(device, bidirectional, square):
    from speechbrain_fftp.lobes.models.AuM import AuM
    from speechbrain_fftp.nnet.patching import (
        FFTPEmbedding,
        SquarePatchEmbedding,
    )

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


def test_impossible_options_are_errors():
    from speechbrain_fftp.lobes.models.AuM import AuM

    with pytest.raises(ValueError, match="bidirectional"):
        AuM(embed_dim=24, depth=1, bidirectional="both")
    with pytest.raises(ValueError, match="max_frames"):
        AuM(embed_dim=24, depth=1, max_frames=10)
