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
