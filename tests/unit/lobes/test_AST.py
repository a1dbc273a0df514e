"""Tests of the Audio Spectrogram Transformer.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from speechbrain_fftp.lobes.models.AST import AST, TransformerBlock
from speechbrain_fftp.nnet.patching import FFTPEmbedding, SquarePatchEmbedding
from speechbrain_fftp.nnet.tokens import POOLINGS

EMBEDDINGS = {
    "fftp": lambda: FFTPEmbedding(16, 24, 10, 4),
    "square": lambda: SquarePatchEmbedding(16, 24, 8, 5),
    "local": lambda: FFTPEmbedding(16, 24, 10, 4),
    "mean": lambda: SquarePatchEmbedding(16, 24, 8, 5),
}
OPTIONS = {
    "local": {"pooling": "cls+mean", "conv_kernel": 3},
    "mean": {"pooling": "mean"},
}


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
        **{**OPTIONS.get(kind, {}), **kwargs},
    ).eval()
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return encoder


@pytest.fixture
def attention_masks(monkeypatch):
    """The masks of all attentions computed, in order."""
    masks = []
    attention = torch.nn.functional.scaled_dot_product_attention

    def recorder(query, key, value, attn_mask=None, *args, **kwargs):
        masks.append(attn_mask)
        return attention(query, key, value, attn_mask, *args, **kwargs)

    monkeypatch.setattr(TransformerBlock, "attend", staticmethod(recorder))
    return masks


def pad(clips, frames, fill):
    feats = torch.full((len(clips), frames, 16), fill)
    for row, clip in zip(feats, clips):
        row[: len(clip)] = clip
    return feats, torch.tensor([len(clip) / frames for clip in clips])


@pytest.mark.parametrize("kind", EMBEDDINGS)
@pytest.mark.parametrize("fill", [0.0, 50.0, float("nan")])
@torch.no_grad()
def test_embedding_does_not_depend_on_padding(kind, fill):
    encoder = make_encoder(kind)
    # Shorter than a patch, of odd lengths, and longer than max_frames.
    clips = [torch.randn(n, 16) for n in (90, 3, 8, 10, 11, 37, 60, 61, 1)]
    alone = [encoder(clip[None])[0] for clip in clips]
    for frames in (90, 180, 333):
        out = encoder(*pad(clips, frames, fill))
        for embedding, expected in zip(out, alone):
            torch.testing.assert_close(embedding, expected, rtol=0, atol=1e-4)
    few = clips[1:4]
    for embedding, expected in zip(encoder(*pad(few, 40, fill)), alone[1:4]):
        torch.testing.assert_close(embedding, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", EMBEDDINGS)
@torch.no_grad()
def test_padding_would_matter_without_lengths(kind):
    encoder = make_encoder(kind)
    clips = [torch.randn(n, 16) for n in (60, 31)]
    feats, lens = pad(clips, 60, 0.0)
    with_lens, without = encoder(feats, lens), encoder(feats)
    torch.testing.assert_close(with_lens[0], without[0], rtol=0, atol=1e-4)
    assert (with_lens[1] - without[1]).abs().max() > 0.05


@pytest.mark.parametrize("kind", EMBEDDINGS)
def test_no_mask_when_all_lengths_are_equal(kind, attention_masks):
    encoder = make_encoder(kind)
    feats = torch.randn(3, 40, 16)
    whole = encoder(feats)
    torch.testing.assert_close(encoder(feats, torch.ones(3)), whole)
    padded = torch.cat([feats, torch.full((3, 40, 16), float("nan"))], 1)
    half = encoder(padded, torch.full((3,), 0.5))
    torch.testing.assert_close(half, whole)
    assert attention_masks == [None] * 6  # two blocks, three times


@pytest.mark.parametrize("kind", EMBEDDINGS)
def test_mask_when_lengths_differ(kind, attention_masks):
    encoder = make_encoder(kind)
    encoder(torch.randn(3, 40, 16), torch.tensor([1.0, 0.5, 0.1]))
    rows = encoder.embedding.freq_patches
    columns = [encoder.embedding.time_patches(n) for n in (40, 20, 4)]
    for mask in attention_masks:
        assert mask.shape == (3, 1, 1, 2 + rows * columns[0])
        assert mask[:, 0, 0, :2].all()
        tokens = mask[:, 0, 0, 2:].view(3, rows, columns[0])
        for clip, count in zip(tokens, columns):
            assert clip[:, :count].all() and not clip[:, count:].any()
    assert len(attention_masks) == 2


@pytest.mark.parametrize("kind", EMBEDDINGS)
@pytest.mark.parametrize("lens", [None, torch.tensor([1.0, 0.4])])
def test_gradient_reaches_every_parameter(kind, lens):
    encoder = make_encoder(kind).train()
    out = encoder(torch.randn(2, 60, 16), lens)
    (out * torch.randn_like(out)).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name
    assert (encoder.position.table.grad != 0).all()
    assert (encoder.cls_tokens.grad != 0).all()


def test_no_gradient_from_padding():
    encoder = make_encoder("fftp")
    feats = torch.randn(2, 60, 16, requires_grad=True)
    out = encoder(feats, torch.tensor([1.0, 0.5]))
    (out * torch.randn_like(out)).sum().backward()
    assert not feats.grad[1, 30:].any()
    # Patches of 10 frames every 4: the last one ends at frame 30.
    assert (feats.grad[1, :30].abs().sum(1) > 0).all()


@pytest.mark.parametrize("kind", ["fftp", "square", "local"])
@torch.no_grad()
def test_pooled_tokens_are_each_clips_own_in_the_order_of_time(kind):
    encoders = {p: make_encoder(kind, pooling=p) for p in POOLINGS}
    feats, lens = torch.randn(2, 60, 16), torch.tensor([1.0, 0.5])
    found = {p: encoder(feats, lens) for p, encoder in encoders.items()}
    both = (found["cls"] + found["mean"]) / 2
    torch.testing.assert_close(found["cls+mean"], both)
    encoder, outputs = encoders["tokens"], []
    encoder.blocks[-1].register_forward_hook(
        lambda *args: outputs.append(args[2])
    )
    for i, clip in enumerate((feats[:1], feats[1:, :30])):
        tokens = encoder(clip)[0]
        count, rows = len(tokens), encoder.embedding.freq_patches
        assert count == encoder.embedding.time_patches(clip.shape[1])
        padded = found["tokens"][i]
        torch.testing.assert_close(padded[:count], tokens, atol=1e-4, rtol=0)
        assert not padded[count:].any()
        mean = found["mean"][i, 0]
        torch.testing.assert_close(tokens.mean(0), mean, atol=1e-4, rtol=0)
        # The last block's output without class tokens
        last = outputs[-1][0, 2:]
        expected = encoder.norm(last.view(rows, count, -1)).mean(0)
        torch.testing.assert_close(tokens, expected)


@torch.no_grad()
def test_convolution_without_weights_changes_nothing():
    plain, local = (make_encoder("fftp", conv_kernel=k) for k in (0, 5))
    feats, lens = torch.randn(2, 60, 16), torch.tensor([1.0, 0.5])
    names = local.load_state_dict(plain.state_dict(), strict=False)
    assert len(names.missing_keys) == 4 and not names.unexpected_keys
    assert (local(feats, lens) - plain(feats, lens)).abs().max() > 0.01
    for block in local.blocks:
        torch.nn.init.zeros_(block.conv.weight)
        torch.nn.init.zeros_(block.conv.bias)
    torch.testing.assert_close(local(feats, lens), plain(feats, lens))


def test_impossible_options_are_explained():
    with pytest.raises(ValueError, match="pooling='max' must be one of cls"):
        make_encoder("fftp", pooling="max")
    with pytest.raises(ValueError, match="must be odd, not 4"):
        make_encoder("fftp", conv_kernel=4)
    with pytest.raises(ValueError, match="conv_kernel=3 needs .* FFTPEmbed"):
        make_encoder("square", conv_kernel=3)


@torch.no_grad()
def test_embedding_depends_on_the_order_of_the_frames():
    encoder = make_encoder("fftp")
    tokens = torch.randn(1, 10, 16).repeat(1, 6, 1)
    tokens[:, :10] = 0.0
    moved = tokens.roll(20, 1)
    assert (encoder(tokens) - encoder(moved)).abs().max() > 1e-2


@torch.no_grad()
def test_class_tokens_are_averaged_after_the_norm():
    encoder = make_encoder("fftp", depth=0)
    norm = torch.nn.functional.layer_norm(
        encoder.cls_tokens, (24,), encoder.norm.weight, encoder.norm.bias, 1e-6
    )
    out = encoder(torch.randn(2, 30, 16))
    torch.testing.assert_close(out, norm.mean(0).expand(2, 1, 24))


def test_default_embedding_and_number_of_parameters():
    encoder = AST(embed_dim=32, depth=3, num_heads=2, max_frames=1000)
    assert encoder.embedding.num_patches(1000) == 196
    patches = 32 * 128 * 25 + 32
    positions = (196 + 2) * 32
    block = 12 * 32 * 32 + 13 * 32
    total = sum(p.numel() for p in encoder.parameters())
    assert total == patches + positions + 3 * block + 2 * 32


def test_initial_weights_are_small_and_unbiased():
    torch.manual_seed(0)
    encoder = AST(embed_dim=96, depth=1, num_heads=2)
    for layer in (encoder.blocks[0].qkv, encoder.blocks[0].mlp[0]):
        assert abs(layer.weight.std() - 0.02) < 5e-4
        assert not layer.bias.any()
    assert abs(encoder.cls_tokens.std() - 0.02) < 5e-3


@torch.no_grad()
def test_weights_of_another_clip_length_load():
    encoder = make_encoder("fftp")
    longer = AST(16, 24, 2, 3, EMBEDDINGS["fftp"](), max_frames=120).eval()
    longer.load_state_dict(encoder.state_dict())
    table = longer.position.table[0]
    assert table.shape == (28, 24)
    torch.testing.assert_close(table[0], encoder.position.table[0, 0])
    torch.testing.assert_close(table[-1], encoder.position.table[0, -1])


def test_dropout_acts_in_train_mode_only(monkeypatch):
    encoder = make_encoder("fftp", dropout=0.5)
    feats = torch.randn(2, 60, 16)
    plain = make_encoder("fftp", dropout=0.0)
    torch.testing.assert_close(encoder(feats), plain(feats))
    torch.testing.assert_close(plain.train()(feats), plain.eval()(feats))
    encoder.train()
    assert (encoder(feats) - encoder(feats)).abs().max() > 1e-2
    # Without the dropout layers, that of the attention weights is left.
    monkeypatch.setattr(
        torch.nn.functional, "dropout", lambda x, *args, **kwargs: x
    )
    assert (encoder(feats) - encoder(feats)).abs().max() > 1e-2


def test_construction_errors():
    with pytest.raises(ValueError, match="embed_dim=50.*num_heads=4"):
        AST(embed_dim=50, num_heads=4)
    with pytest.raises(ValueError, match="num_heads=0, which must be pos"):
        AST(embed_dim=50, num_heads=0)
    with pytest.raises(ValueError, match="25 frames.*max_frames=24"):
        AST(embed_dim=24, depth=1, num_heads=2, max_frames=24)
    AST(embed_dim=24, depth=1, num_heads=2, max_frames=25)
    for n_mels, width in ((64, 24), (128, 48)):
        embedding = FFTPEmbedding(n_mels, width)
        with pytest.raises(ValueError, match=f"n_mels={n_mels}.*n_mels=128"):
            AST(128, 24, depth=1, num_heads=2, embedding=embedding)


def test_features_with_other_bins_are_an_error():
    with pytest.raises(ValueError, match=r"\[B, T, 16\].*20"):
        make_encoder("fftp")(torch.zeros(1, 30, 20))


def test_block_equals_torch_encoder_layer():
    torch.manual_seed(0)
    block = TransformerBlock(24, num_heads=3, mlp_ratio=2.0, norm_eps=1e-5)
    peer = torch.nn.TransformerEncoderLayer(
        24, 3, 48, activation="gelu", batch_first=True, norm_first=True
    )
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    state = block.state_dict()
    renamed = {
        "self_attn.in_proj_weight": state["qkv.weight"],
        "self_attn.in_proj_bias": state["qkv.bias"],
    }
    pairs = [
        ("norm1", "norm1"),
        ("norm2", "norm2"),
        ("self_attn.out_proj", "proj"),
        ("linear1", "mlp.0"),
        ("linear2", "mlp.3"),
    ]
    for new, old in pairs:
        for kind in ("weight", "bias"):
            renamed[f"{new}.{kind}"] = state[f"{old}.{kind}"]
    peer.load_state_dict(renamed)
    block.eval(), peer.eval()
    x = torch.randn(2, 9, 24)
    torch.testing.assert_close(block(x), peer(x), rtol=0, atol=1e-4)
    valid = torch.arange(9) < torch.tensor([9, 5])[:, None]
    masked = peer(x, src_key_padding_mask=~valid)
    out = block(x, valid[:, None, None])
    torch.testing.assert_close(out[valid], masked[valid], rtol=0, atol=1e-4)


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
