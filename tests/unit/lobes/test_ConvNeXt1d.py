"""Tests of the convolutional encoder over time.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import torch

from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d
from speechbrain_fftp.nnet.patching import FFTPEmbedding


@pytest.fixture(autouse=True)
def float64():
    """Sums in float32 differ from CPU to CPU."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def make_encoder(depth=2, kernel=3, pooling="mean", stem=False):
    """An encoder for up to 60 frames whose weights are not small."""
    torch.manual_seed(3)
    embedding = FFTPEmbedding(16, 24, 10, 4)
    if stem:
        embedding = FFTPEmbedding(16, 24, 11, 4, stem_channels=6)
    encoder = ConvNeXt1d(
        16, 24, depth, embedding, 60, kernel=kernel, pooling=pooling
    ).eval()
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return encoder


def normalize(tokens, norm):
    """What a layer norm makes of tokens."""
    centred = tokens - tokens.mean(1, keepdim=True)
    scale = (centred.square().mean(1, keepdim=True) + norm.eps).rsqrt()
    return centred * scale * norm.weight + norm.bias


@torch.no_grad()
def test_output_is_that_of_the_formula():
    encoder = make_encoder(depth=1)
    feats, block = torch.randn(1, 50, 16), encoder.blocks[0]
    tokens = normalize(encoder.embedding(feats)[0], encoder.stem_norm)  # [N, D]
    padded = torch.nn.functional.pad(tokens, (0, 0, 1, 1))
    mixed = block.conv.bias + sum(
        padded[k : k + len(tokens)] * block.conv.weight[:, 0, k]
        for k in range(3)
    )
    norm, up, _, _, down, _ = block.mlp
    hidden = up(normalize(mixed, norm))
    hidden = hidden * 0.5 * (1 + (hidden / 2**0.5).erf())
    expected = encoder.norm(tokens + down(hidden)).mean(0)
    torch.testing.assert_close(encoder(feats)[0, 0], expected)


@torch.no_grad()
def test_statistics_are_those_of_numpy():
    encoder = make_encoder(depth=1, pooling="mean+std").train()
    tokens, valid = torch.randn(2, 7, 24), torch.arange(7) < 5
    valid = torch.stack([valid, ~valid | True])
    layers = encoder.statistics
    own = tokens[valid] @ layers.widen.weight.T + layers.widen.bias
    own = np.where(own > 0, own, 0.01 * own)  # [12, 72]
    own = (own - own.mean(0)) / np.sqrt(own.var(0) + 1e-5)
    own = own * layers.norm.weight.numpy() + layers.norm.bias.numpy()
    expected = [
        np.concatenate([clip.mean(0), np.sqrt(clip.var(0) + 1e-5)])
        for clip in (own[:5], own[5:])
    ]
    expected = layers.reduce(torch.tensor(np.stack(expected)))
    found = layers(tokens, valid)
    torch.testing.assert_close(found[:, 0], expected, atol=1e-3, rtol=1e-4)


@torch.no_grad()
def test_a_single_token_is_normalised_by_running_statistics():
    """A last batch may be one short clip."""
    encoder = ConvNeXt1d(embed_dim=16, depth=1, pooling="mean+std").train()
    norm = encoder.statistics.norm
    norm.running_mean.fill_(0.5)
    feats = torch.randn(1, 10, 128)
    for lengths in (None, torch.ones(1)):
        found = encoder(feats, lengths)
        assert norm.num_batches_tracked == 0
        torch.testing.assert_close(found, encoder.eval()(feats, lengths))
        encoder.train()
    encoder(torch.randn(1, 200, 128))
    assert norm.num_batches_tracked == 1


def test_batch_norms_may_be_replaced_for_several_processes():
    feats, lens = torch.randn(2, 60, 16), torch.tensor([1.0, 0.5])
    alone = make_encoder(pooling="mean+std").train()
    synced = make_encoder(pooling="mean+std").train()
    synced = torch.nn.SyncBatchNorm.convert_sync_batchnorm(synced)
    assert isinstance(synced.statistics.norm, torch.nn.SyncBatchNorm)
    torch.testing.assert_close(synced(feats, lens), alone(feats, lens))


@pytest.mark.parametrize("stem", [False, True])
@torch.no_grad()
def test_training_does_not_depend_on_padding(stem):
    encoder = make_encoder(pooling="mean+std", stem=stem).train()
    feats = torch.randn(3, 60, 16)
    lens = torch.tensor([1.0, 0.5, 0.9])
    expected = encoder(feats, lens)
    running = encoder.statistics.norm.running_var.clone()
    encoder.statistics.norm.reset_running_stats()
    padded = torch.nn.functional.pad(feats, (0, 0, 0, 60), value=3.0)
    torch.testing.assert_close(encoder(padded, lens / 2), expected)
    torch.testing.assert_close(encoder.statistics.norm.running_var, running)
