"""Tests of attention rollout against explicit matrices.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import torch
from small_models import make_tagger

from speechbrain_fftp.inference.relevance import (
    attention_maps,
    rollout,
    token_relevance,
)
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet.patching import FFTPEmbedding, SquarePatchEmbedding

DEPTH = 3
EMBEDDINGS = [
    FFTPEmbedding(40, 24, patch_frames=10, stride_frames=5),
    SquarePatchEmbedding(40, 24, patch_size=10, stride=10),
]


def random_tagger(embedding):
    """A tagger with an AST of random weights, large enough to attend."""
    torch.manual_seed(1)
    encoder = AST(40, 24, DEPTH, 2, embedding, max_frames=128)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.6)
    return make_tagger(encoder)


def weights_by_hand(block, tokens):
    """Each head's weights of a block, by loops in double precision."""
    x = block.norm1(tokens).detach().double().numpy()
    weight, bias = (p.detach().double().numpy() for p in block.qkv.parameters())
    width, heads = x.shape[1], []
    for head in np.split(np.arange(width), block.num_heads):
        q = x @ weight[head].T + bias[head]
        k = x @ weight[width + head].T + bias[width + head]
        scores = np.exp(q @ k.T / np.sqrt(len(head)))
        heads.append(scores / scores.sum(1, keepdims=True))
    return np.stack(heads)


def test_maps_are_the_attention_of_each_block():
    encoder = random_tagger(EMBEDDINGS[0]).engine.mods.embedding_model
    inputs = []
    for block in encoder.blocks:
        block.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    feats = torch.randn(1, 100, 40)
    plain = encoder(feats)
    inputs.clear()
    with attention_maps(encoder) as maps:
        assert torch.equal(encoder(feats), plain)
    assert len(maps) == DEPTH
    for block, tokens, weights in zip(encoder.blocks, inputs, maps):
        expected = weights_by_hand(block, tokens[0]).mean(0)
        np.testing.assert_allclose(weights[0], expected, atol=1e-5)
        assert expected.max() > 0.2  # far from evenly spread
    encoder(feats)
    assert len(maps) == DEPTH  # the hooks are gone


def test_rollout_is_the_product_from_the_last_block_to_the_first():
    rng = np.random.default_rng(0)
    first, second = rng.uniform(size=(2, 5, 5))
    first /= first.sum(1, keepdims=True)
    second /= second.sum(1, keepdims=True)
    expected = np.zeros((5, 5))
    for out in range(5):
        for middle in range(5):
            for start in range(5):
                late = (second[out, middle] + (out == middle)) / 2
                early = (first[middle, start] + (middle == start)) / 2
                expected[out, start] += late * early
    maps = [torch.from_numpy(x)[None].float() for x in (first, second)]
    np.testing.assert_allclose(rollout(maps)[0], expected, atol=1e-6)
    np.testing.assert_allclose(rollout(maps).sum(2), 1, atol=1e-6)


@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_relevance_of_a_random_model(embedding):
    tagger = random_tagger(embedding)
    encoder, wav = tagger.engine.mods.embedding_model, 0.1 * torch.randn(16000)
    inputs = []
    for block in encoder.blocks:
        block.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    times, relevance = token_relevance(tagger, wav.numpy())
    product = np.eye(inputs[0].shape[1])
    for block, tokens in zip(encoder.blocks, inputs):
        weights = weights_by_hand(block, tokens[0]).mean(0)
        product = (weights + np.eye(len(weights))) / 2 @ product
    row = (product[0] + product[1]) / 2  # the embedding: mean of both tokens
    columns = len(times)
    expected = [
        sum(row[2 + f * columns + t] for f in range(embedding.freq_patches))
        for t in range(columns)
    ]
    np.testing.assert_allclose(relevance, expected, rtol=1e-3)
    assert abs(relevance.sum() + row[:2].sum() - 1) < 1e-4
    # 98 frames: 18 patches every 5, or 9 every 10; each middle after 5 frames
    step = embedding.stride_frames * 0.01
    assert columns == {0.05: 18, 0.1: 9}[step]
    np.testing.assert_allclose(times, 0.05 + step * np.arange(columns))


def test_a_long_clip_goes_through_in_equal_parts():
    tagger, wav = random_tagger(EMBEDDINGS[0]), 0.1 * torch.randn(48000)
    times, relevance = token_relevance(tagger, wav.numpy())
    parts = [token_relevance(tagger, part.numpy()) for part in wav.split(16000)]
    expected = np.concatenate([r for _, r in parts])
    np.testing.assert_allclose(relevance, expected, atol=1e-5)
    starts = [number + t for number, (t, _) in enumerate(parts)]
    np.testing.assert_allclose(times, np.concatenate(starts), atol=1e-5)


def test_an_encoder_without_attention_is_refused():
    tagger = random_tagger(EMBEDDINGS[0])
    tagger.engine.mods.embedding_model = AuM(40, embed_dim=24, depth=1)
    with pytest.raises(TypeError, match="AuM does not have: use an AST"):
        token_relevance(tagger, np.random.rand(16000).astype("f"))
