"""Tests of the Audio Spectrogram Transformer.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch


def make_encoder(device, square=False):
    """A small AST in float64 whose weights are not small."""
    from speechbrain.lobes.models.AST import AST
    from speechbrain.nnet.patching import FFTPEmbedding, SquarePatchEmbedding

    torch.manual_seed(1)
    embedding = FFTPEmbedding(16, 24, patch_frames=10, stride_frames=4)
    if square:
        embedding = SquarePatchEmbedding(16, 24, patch_size=8, stride=5)
    encoder = AST(16, 24, 2, 3, embedding, max_frames=60, pooling="cls+mean")
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return encoder.to(device).double().eval()


@pytest.mark.parametrize("square", [False, True])
@torch.no_grad()
def test_embeddings_do_not_depend_on_padding(device, square):
    encoder = make_encoder(device, square)
    # Longer than max_frames, and shorter than a patch
    clips = [torch.randn(n, 16, device=device) for n in (90, 60, 37, 10, 3)]
    clips = [clip.double() for clip in clips]
    alone = torch.cat([encoder(clip[None]) for clip in clips])
    batch = torch.nn.utils.rnn.pad_sequence(clips, True, torch.nan)
    batch = torch.nn.functional.pad(batch, (0, 0, 0, 30), value=torch.nan)
    lengths = torch.tensor([len(clip) for clip in clips], device=device) / 120
    torch.testing.assert_close(encoder(batch, lengths), alone)


@torch.no_grad()
def test_poolings(device):
    feats = torch.randn(2, 40, 16, dtype=torch.float64, device=device)
    lengths = torch.tensor([1.0, 0.5], device=device)
    encoder = make_encoder(device, square=True)
    encoder.pooling = "cls"
    cls, tokens, valid = encoder.encode(feats, lengths)
    own = [encoder.embedding.time_patches(n) for n in (40, 20)]
    assert valid.sum(1).tolist() == own
    mean = torch.stack(
        [clip[:n].mean(0, keepdim=True) for clip, n in zip(tokens, own)]
    )
    for pooling, expected in (
        ("cls", cls),
        ("mean", mean),
        ("cls+mean", (cls + mean) / 2),
    ):
        encoder.pooling = pooling
        torch.testing.assert_close(encoder(feats, lengths), expected)
    with pytest.raises(ValueError, match="pooling"):
        type(encoder)(pooling="max")


@torch.no_grad()
def test_both_class_tokens_count_alike(device):
    encoder = make_encoder(device)
    encoder.pooling = "cls"
    feats = torch.randn(2, 40, 16, dtype=torch.float64, device=device)
    expected = encoder(feats)
    encoder.cls_tokens.copy_(encoder.cls_tokens.flip(0))
    torch.testing.assert_close(encoder(feats), expected)


def test_initial_values_are_those_of_the_original(device):
    from speechbrain.lobes.models.AST import AST

    torch.manual_seed(0)
    encoder = AST(16, 48, 1, 3).to(device)
    for weight in (encoder.blocks[0].qkv.weight, encoder.position.table):
        assert weight.std().item() == pytest.approx(0.02, rel=0.05)
    norms = [x for x in encoder.modules() if hasattr(x, "eps")]
    assert len(norms) == 3 and {norm.eps for norm in norms} == {1e-6}


@torch.no_grad()
def test_block_equals_torch_encoder_layer(device):
    from speechbrain.lobes.models.AST import TransformerBlock

    block = TransformerBlock(24, num_heads=3, norm_eps=1e-5).to(device).eval()
    layer = torch.nn.TransformerEncoderLayer(
        d_model=24,
        nhead=3,
        dim_feedforward=96,
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
