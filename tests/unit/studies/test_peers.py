"""Tests of the x-vector and the masks that the study compares with.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

from speechbrain.lobes.models.Xvector import Xvector

SIZES = {"in_channels": 40, "tdnn_channels": [16] * 5, "lin_neurons": 8}


def make_ready():
    """A model with statistics of its normalisations, in evaluation mode."""
    from peers import Xvector as Peer

    torch.manual_seed(0)
    model = Peer(**SIZES)
    with torch.no_grad():
        for _ in range(20):
            model(torch.randn(4, 98, 40))
    return model.eval()


@torch.no_grad()
def embed(model, feats, lens=None):
    torch.manual_seed(0)  # statistics pooling adds noise of 1e-5
    return model(feats, lens)


def test_x_vector_is_speechbrains():
    model = make_ready()
    stock = Xvector(**SIZES)
    stock.load_state_dict(model.state_dict())
    feats, ones = torch.randn(4, 98, 40), torch.ones(4)
    expected = embed(stock.eval(), feats, ones)
    torch.testing.assert_close(embed(model, feats, ones), expected)
    torch.testing.assert_close(embed(model, feats), expected)
    # Of shorter clips, it is what SpeechBrain gives for zeros as padding.
    lens = torch.tensor([1.0, 0.5, 0.25, 1.0])
    padded = feats.clone()
    for clip, frames in enumerate((98, 49, 25, 98)):
        padded[clip, frames:] = 0.0
    torch.testing.assert_close(
        embed(model, feats, lens), embed(stock, padded, lens)
    )


def test_unaligned_masks_have_as_many_cells_and_leave_the_grid():
    from peers import UnalignedSpecMask

    from speechbrain_fftp.augment.specmask import SpecMask

    options = {"budget": 0.2, "full_freq_ratio": 0.7, "patch": (10, 8)}
    feats = torch.rand(16, 1000, 64)
    cells, aligned = {}, {}
    for kind in (SpecMask, UnalignedSpecMask):
        torch.manual_seed(0)
        masked = kind(**options)(feats) != feats
        cells[kind] = masked.sum((1, 2)).tolist()
        patches = masked.reshape(16, 100, 10, 8, 8).float().mean((2, 4))
        aligned[kind] = bool(((patches == 0) | (patches == 1)).all())
    assert cells[SpecMask] == cells[UnalignedSpecMask]
    assert aligned == {SpecMask: True, UnalignedSpecMask: False}
    assert UnalignedSpecMask(**options).eval()(feats) is feats
