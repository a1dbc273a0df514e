"""Tests of the Audio Spectrogram Transformer.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch


def make_encoder(device, square):
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
    feats = torch.randn(1, 120, 16, device=device).double()
    counts = [90, 60, 37, 10, 3]  # beyond max_frames, and less than a patch
    alone = torch.cat([encoder(feats[:, :count]) for count in counts])
    lengths = torch.tensor(counts, device=device) / 120
    found = encoder(feats.expand(5, -1, -1), lengths)
    torch.testing.assert_close(found, alone)


@torch.no_grad()
def test_poolings(device):
    encoder = make_encoder(device, square=True)
    feats = torch.randn(2, 40, 16, dtype=torch.float64, device=device)
    lengths = torch.tensor([1.0, 0.5], device=device)
    found = {}
    for encoder.pooling in ("mean", "cls+mean", "cls"):
        clips = encoder.encode(feats, lengths)
        found[encoder.pooling] = clips.embedding
    assert clips.valid.sum(1).tolist() == [7, 3]  # columns of patches
    for mean, tokens, valid in zip(found["mean"], clips.tokens, clips.valid):
        torch.testing.assert_close(mean[0], tokens[valid].mean(0))
    both = (found["cls"] + found["mean"]) / 2
    torch.testing.assert_close(found["cls+mean"], both)
    # Both class tokens count alike
    encoder.cls_tokens.copy_(encoder.cls_tokens.flip(0))
    torch.testing.assert_close(encoder(feats, lengths), found["cls"])
    # As in the original, padding may be a part of the clip
    encoder.mask_padding = False
    assert torch.equal(encoder(feats, lengths), encoder(feats))
    with pytest.raises(ValueError, match="pooling"):
        type(encoder)(pooling="max")


def test_initial_values_are_those_of_the_original(device):
    from speechbrain.lobes.models.AST import AST

    torch.manual_seed(0)
    encoder = AST(16, 48, 1, 3).to(device)
    for weight, std in (
        (encoder.blocks[0].qkv.weight, 0.02),
        (encoder.position.table, 0.02),
        # Uniform, as those of a convolution; patches have 25 * 16 cells
        (encoder.embedding.proj.weight, (3 * 25 * 16) ** -0.5),
    ):
        assert weight.std().item() == pytest.approx(std, rel=0.05)
    norms = [x for x in encoder.modules() if hasattr(x, "eps")]
    assert len(norms) == 3 and {norm.eps for norm in norms} == {1e-6}


@torch.no_grad()
def test_block_equals_torch_encoder_layer(device):
    from speechbrain.lobes.models.AST import TransformerBlock

    block = TransformerBlock(24, num_heads=3, norm_eps=1e-5).to(device).eval()
    layer = torch.nn.TransformerEncoderLayer(
        24, 3, 96, activation="gelu", batch_first=True, norm_first=True
    )
    layer = layer.to(device).eval()
    state = layer.state_dict()
    for theirs, ours in (
        ("self_attn.in_proj_", "qkv."),
        ("self_attn.out_proj", "proj"),
        ("linear1", "mlp.0"),
        ("linear2", "mlp.3"),
    ):
        state = {name.replace(theirs, ours): x for name, x in state.items()}
    block.load_state_dict(state)
    tokens = torch.randn(2, 7, 24, device=device)
    torch.testing.assert_close(
        block(tokens), layer(tokens), rtol=1e-4, atol=1e-5
    )
