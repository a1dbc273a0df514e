"""Tests of the x-vector that the study compares with.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

from speechbrain.lobes.models.Xvector import Xvector

SIZES = {"in_channels": 40, "tdnn_channels": [16] * 5, "lin_neurons": 8}


@torch.no_grad()
def embed(model, feats, lens=None):
    torch.manual_seed(0)  # statistics pooling adds noise of 1e-5
    return model(feats, lens)


def test_x_vector_is_speechbrains():
    from studies.peers.xvector import Xvector as Peer

    torch.manual_seed(0)
    model, stock = Peer(**SIZES).eval(), Xvector(**SIZES).eval()
    stock.load_state_dict(model.state_dict())
    feats = torch.randn(4, 98, 40)
    for lens in (torch.ones(4), torch.tensor([1.0, 0.5, 0.25, 1.0])):
        expected = embed(stock, feats, lens)
        torch.testing.assert_close(embed(model, feats, lens), expected)


def test_keys_of_a_peer_replace_those_of_the_base():
    from studies.models import load_hparams
    from studies.plan import Plan

    plan = Plan("encoders_equal")
    runs = plan.search_runs()
    x_vector, convnext = (
        load_hparams(runs[name][0].row, plan)
        for name in ("x_vector", "convnext")
    )
    assert x_vector["n_mels"] == 24
    assert x_vector["opt_class"].func is torch.optim.Adam
    for key in ("speeds", "snr_low", "mixup_prob", "batch_size", "lr"):
        assert x_vector[key] == convnext[key]
