"""Tests of the Audio Spectrogram Transformer.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.nnet.patching import FFTPEmbedding, SquarePatchEmbedding

EMBEDDINGS = {
    "fftp": lambda: FFTPEmbedding(16, 24, 10, 4),
    "square": lambda: SquarePatchEmbedding(16, 24, 8, 5),
}


@pytest.fixture(autouse=True)
def float64():
    """Sums in float32 differ from CPU to CPU."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def make_encoder(kind, depth=2, **kwargs):
    """An encoder for up to 60 frames whose weights are not small."""
    torch.manual_seed(3)
    encoder = AST(
        n_mels=16,
        embed_dim=24,
        depth=depth,
        num_heads=3,
        embedding=EMBEDDINGS[kind](),
        max_frames=60,
        **kwargs,
    ).eval()
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return encoder


def test_a_last_block_for_class_tokens_alone():
    """For inference: it changes no embedding, also of padded clips."""
    torch.manual_seed(0)
    encoder = AST(40, 48, 2, 3, FFTPEmbedding(40, 48, 10, 5), 200).eval()
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    feats, lens = torch.randn(3, 150, 40), torch.tensor([1.0, 0.3, 0.7])
    with torch.no_grad():
        expected = [encoder(feats), encoder(feats, lens)]
        encoder.blocks[-1].outputs = 2
        found = [encoder(feats), encoder(feats, lens)]
        assert encoder.blocks[-1](torch.randn(1, 9, 48)).shape == (1, 2, 48)
    for one, other in zip(found, expected):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("lens", [None, [1.0, 0.4]])
def test_dropped_tokens_are_not_seen(lens):
    """Of each clip's own tokens, the given fraction has no gradient."""
    encoder = AST(
        n_mels=8,
        embed_dim=16,
        depth=1,
        num_heads=2,
        embedding=FFTPEmbedding(8, 16, patch_frames=10, stride_frames=10),
        max_frames=200,
        drop_tokens=0.3,
    )
    feats = torch.randn(2, 200, 8, requires_grad=True)
    lens = None if lens is None else torch.tensor(lens)
    out = encoder(feats, lens)
    (gradient,) = torch.autograd.grad(
        (out * torch.randn_like(out)).sum(), feats
    )
    seen = gradient.abs().sum(2).view(2, 20, 10).amax(2) > 0
    assert seen.sum(1).tolist() == [14, 14 if lens is None else 6]
    if lens is not None:
        assert not seen[1, 8:].any()
    encoder.eval()
    whole = torch.autograd.grad(encoder(feats, lens).pow(2).sum(), feats)[0]
    assert (whole[0].reshape(20, 80).abs().amax(1) > 0).all()
