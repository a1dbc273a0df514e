"""Tests of the Audio Spectrogram Transformer.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch


def make_encoder(device, square=False, pooling="cls+mean"):
    """A small AST in float64 whose weights are not small."""
    from speechbrain.lobes.models.AST import AST
    from speechbrain.nnet.patching import FFTPEmbedding, SquarePatchEmbedding

    embedding = FFTPEmbedding(16, 24, patch_frames=10, stride_frames=4)
    if square:
        embedding = SquarePatchEmbedding(16, 24, patch_size=8, stride=5)
    encoder = AST(
        n_mels=16,
        embed_dim=24,
        depth=2,
        num_heads=3,
        embedding=embedding,
        max_frames=60,
        pooling=pooling,
    )
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return encoder.to(device).double().eval()


@pytest.mark.parametrize("square", [False, True])
@torch.no_grad()
def test_embeddings_do_not_depend_on_padding(device, square):
    encoder = make_encoder(device, square)
    frames = (90, 60, 37, 10, 3)  # longer than max_frames, and than no patch
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
def test_lengths_arrive_through_a_container(device):
    from speechbrain.nnet.containers import LengthsCapableSequential

    encoder = make_encoder(device)
    feats = torch.randn(2, 40, 16, dtype=torch.float64, device=device)
    lengths = torch.tensor([1.0, 0.5], device=device)
    chain = LengthsCapableSequential(torch.nn.Identity(), encoder)
    expected = encoder(feats, lengths)
    torch.testing.assert_close(chain(feats, lengths), expected)
    torch.testing.assert_close(chain(feats, lengths=lengths), expected)


@torch.no_grad()
def test_poolings(device):
    feats = torch.randn(2, 40, 16, dtype=torch.float64, device=device)
    lengths = torch.tensor([1.0, 0.5], device=device)
    embeddings = {}
    for pooling in ("cls", "mean", "cls+mean"):
        torch.manual_seed(1)
        encoder = make_encoder(device, square=True, pooling=pooling)
        embeddings[pooling] = encoder(feats, lengths)
    mean = (embeddings["cls"] + embeddings["mean"]) / 2
    torch.testing.assert_close(embeddings["cls+mean"], mean)
    cls, tokens, valid = encoder.encode(feats, lengths)
    torch.testing.assert_close(embeddings["cls"], cls)
    for clip, own, mean in zip(tokens, valid, embeddings["mean"]):
        torch.testing.assert_close(clip[own].mean(0), mean[0])
    counts = [encoder.embedding.time_patches(n) for n in (40, 20)]
    assert valid.sum(1).tolist() == counts
    encoder.pooling = "max"
    with pytest.raises(ValueError, match="pooling"):
        encoder(feats)


@torch.no_grad()
def test_block_equals_torch_encoder_layer(device):
    from speechbrain.lobes.models.AST import TransformerBlock

    block = TransformerBlock(24, num_heads=3, norm_eps=1e-5).to(device).eval()
    layer = torch.nn.TransformerEncoderLayer(
        d_model=24,
        nhead=3,
        dim_feedforward=96,
        dropout=0.0,
        activation="gelu",
        batch_first=True,
        norm_first=True,
        device=device,
    ).eval()
    pairs = (
        (layer.norm1, block.norm1),
        (layer.norm2, block.norm2),
        (layer.self_attn.out_proj, block.proj),
        (layer.linear1, block.mlp[0]),
        (layer.linear2, block.mlp[3]),
    )
    for theirs, ours in pairs:
        theirs.load_state_dict(ours.state_dict())
    layer.self_attn.in_proj_weight.copy_(block.qkv.weight)
    layer.self_attn.in_proj_bias.copy_(block.qkv.bias)
    tokens = torch.randn(2, 7, 24, device=device)
    torch.testing.assert_close(
        block(tokens), layer(tokens), rtol=1e-4, atol=1e-5
    )


def test_gradients_reach_all_weights_and_no_padding(device):
    encoder = make_encoder(device).train()
    feats = torch.randn(2, 60, 16, dtype=torch.float64, device=device)
    feats.requires_grad_()
    out = encoder(feats, torch.tensor([1.0, 0.4], device=device))
    (out * torch.randn_like(out)).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad.any(), name
    assert feats.grad[1, :24].any() and not feats.grad[1, 24:].any()
