"""Tests of the models that the study compares with.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import pytest
import torch

from speechbrain.lobes.models.Xvector import Xvector

PEERS = Path(__file__).resolve().parents[3] / "benchmarks" / "peers"


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(PEERS)


def make_x_vector():
    """A narrow x-vector."""
    from peers import Xvector as Peer

    return Peer(in_channels=40, tdnn_channels=[16] * 5, lin_neurons=8)


def make_ready():
    """A model with statistics of its normalisations, in evaluation mode."""
    torch.manual_seed(0)
    model = make_x_vector()
    with torch.no_grad():
        for _ in range(20):
            model(torch.randn(4, 98, 40))
    return model.eval()


@torch.no_grad()
def embed(model, feats, lens=None):
    torch.manual_seed(0)  # statistics pooling adds noise of 1e-5
    return model(feats, lens)


@pytest.mark.parametrize(
    "scale, thousands",
    [(1, 9.2), (2, 27.3), (3, 54.2), (6, 188), (8, 321)],
)
def test_bc_resnet_has_the_published_number_of_parameters(scale, thousands):
    """With its last layer, for 12 classes."""
    from bcresnet import BCResNet

    model = BCResNet(scale)
    model.classifier = torch.nn.Linear(32 * scale, 12)
    count = sum(p.numel() for p in model.parameters())
    digits = 1 if thousands < 100 else 0
    assert round(count / 1000, digits) == thousands
    assert model(torch.randn(2, 98, 40)).shape == (2, 1, 32 * scale)


def test_x_vector_without_padding_is_speechbrains():
    model = make_ready()
    stock = Xvector(in_channels=40, tdnn_channels=[16] * 5, lin_neurons=8)
    stock.load_state_dict(model.state_dict())
    feats, ones = torch.randn(4, 98, 40), torch.ones(4)
    expected = embed(stock.eval(), feats, ones)
    torch.testing.assert_close(embed(model, feats, ones), expected)
    torch.testing.assert_close(embed(model, feats), expected)
    # Of shorter clips, it is what SpeechBrain gives for zeros as padding.
    lens = torch.tensor([1.0, 0.5, 0.25, 1.0])
    for clip, frames in enumerate((98, 49, 25, 98)):
        feats[clip, frames:] = 0.0
    torch.testing.assert_close(
        embed(model, feats, lens), embed(stock, feats, lens)
    )
