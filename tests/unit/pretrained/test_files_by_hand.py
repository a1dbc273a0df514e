"""Published models by hand, from random tensors with their files' names.

Outputs of the originals themselves are in test_goldens.py.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch
from torch.nn.functional import conv2d, layer_norm, linear, rms_norm

from speechbrain_fftp.nnet.mamba import Mamba
from speechbrain_fftp.pretrained import load_ast, load_aum, load_published

WIDTH = 64


def draw(shapes):
    """Random tensors of these shapes, by name."""
    torch.manual_seed(0)
    return {name: 0.3 * torch.randn(shape) for name, shape in shapes.items()}


def block_shapes(prefix):
    """The tensors of a transformer block, as timm names them."""
    layers = {
        "attn.qkv": (3 * WIDTH, WIDTH),
        "attn.proj": (WIDTH, WIDTH),
        "mlp.fc1": (4 * WIDTH, WIDTH),
        "mlp.fc2": (WIDTH, 4 * WIDTH),
        "norm1": (WIDTH,),
        "norm2": (WIDTH,),
    }
    shapes = {f"{prefix}{x}.weight": shape for x, shape in layers.items()}
    return {
        **shapes,
        **{f"{prefix}{x}.bias": shape[:1] for x, shape in layers.items()},
    }


def transform(tensors, prefix, x):
    """PyTorch's transformer block on tokens ``[B, N, D]``."""
    layer = torch.nn.TransformerEncoderLayer(
        WIDTH, 1, 4 * WIDTH, 0.0, "gelu", 1e-6, True, True
    )
    names = {
        "self_attn.in_proj_": "attn.qkv.",
        "self_attn.out_proj.": "attn.proj.",
        "linear1.": "mlp.fc1.",
        "linear2.": "mlp.fc2.",
        "norm1.": "norm1.",
        "norm2.": "norm2.",
    }
    state = {
        f"{here}{kind}": tensors[f"{prefix}{there}{kind}"]
        for here, there in names.items()
        for kind in ("weight", "bias")
    }
    layer.load_state_dict(state)
    return layer.eval()(x)


def cut(tensors, name, feats, stride):
    """Patches ``[B, N, D]`` of features ``[B, T, F]``."""
    kernel, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
    maps = conv2d(feats.mT.unsqueeze(1), kernel, bias, stride)
    return maps.flatten(2).mT


@torch.no_grad()
def test_ast(tmp_path):
    """16 x 16 patches every 10 bins and frames of 128; one head."""
    tensors = draw(
        {
            "v.cls_token": (1, 1, WIDTH),
            "v.dist_token": (1, 1, WIDTH),
            "v.pos_embed": (1, 2 + 12 * 12, WIDTH),
            "v.patch_embed.proj.weight": (WIDTH, 1, 16, 16),
            "v.patch_embed.proj.bias": (WIDTH,),
            "v.norm.weight": (WIDTH,),
            "v.norm.bias": (WIDTH,),
            "mlp_head.0.weight": (WIDTH,),
            "mlp_head.0.bias": (WIDTH,),
            "mlp_head.1.weight": (5, WIDTH),
            "mlp_head.1.bias": (5,),
            **block_shapes("v.blocks.0."),
        }
    )
    path = tmp_path / "ast.pth"
    torch.save({f"module.{name}": x for name, x in tensors.items()}, path)
    encoder, classifier = load_ast(path)
    feats = torch.randn(2, 128, 128)
    x = cut(tensors, "v.patch_embed.proj", feats, 10)
    tokens = [tensors["v.cls_token"], tensors["v.dist_token"]]
    x = torch.cat([*(token.expand(2, 1, -1) for token in tokens), x], 1)
    x = transform(tensors, "v.blocks.0.", x + tensors["v.pos_embed"])
    norms = tensors["v.norm.weight"], tensors["v.norm.bias"]
    x = layer_norm(x, (WIDTH,), *norms, 1e-6)[:, :2].mean(1)
    norms = tensors["mlp_head.0.weight"], tensors["mlp_head.0.bias"]
    x = layer_norm(x, (WIDTH,), *norms)
    expected = linear(
        x, tensors["mlp_head.1.weight"], tensors["mlp_head.1.bias"]
    )
    found = classifier(encoder(feats))[:, 0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert encoder.max_frames == 128


@pytest.mark.parametrize("form", ["fo-bi", "bi-bi"])
@torch.no_grad()
def test_audio_mamba(tmp_path, form):
    """The class token is in the middle of 16 x 16 patches; test_AuM.py has its layer."""
    layer = Mamba(WIDTH, form)
    of_layer = {f"layers.0.mixer.{k}": x for k, x in layer.state_dict().items()}
    tensors = draw(
        {
            "cls_token": (1, 1, WIDTH),
            "pos_embed.pos_embed": (1, 1 + 8 * 3, WIDTH),
            "patch_embed.proj.weight": (WIDTH, 1, 16, 16),
            "patch_embed.proj.bias": (WIDTH,),
            "layers.0.norm.weight": (WIDTH,),
            "norm_f.weight": (WIDTH,),
            "head.weight": (5, WIDTH),
            "head.bias": (5,),
        }
    )
    path = tmp_path / "aum.pth"
    torch.save({**tensors, **of_layer}, path)
    encoder, classifier = load_aum(path)
    feats = torch.randn(2, 48, 128)
    x = cut(tensors, "patch_embed.proj", feats, 16)
    token = tensors["cls_token"].expand(2, -1, -1)
    position = tensors["pos_embed.pos_embed"][0]
    x = x + position[1:]
    x = torch.cat([x[:, :12], token + position[:1], x[:, 12:]], 1)
    norm = tensors["layers.0.norm.weight"]
    x = x + layer(rms_norm(x, (WIDTH,), norm, 1e-5))
    x = rms_norm(x, (WIDTH,), tensors["norm_f.weight"], 1e-5)[:, 12]
    expected = linear(x, tensors["head.weight"], tensors["head.bias"])
    found = classifier(encoder(feats))[:, 0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_atst_frame(tmp_path):
    """Each token of 4 frames is classified; the highest is the clip's."""
    blocks = block_shapes("model.atst.blocks.0.")
    del blocks["model.atst.blocks.0.attn.qkv.bias"]
    tensors = draw(
        {
            "model.atst.mask_embed": (WIDTH,),
            "model.atst.pos_embed": (1, 1 + 9, WIDTH),
            "model.atst.patch_embed.patch_embed.weight": (WIDTH, 64 * 4),
            "model.atst.patch_embed.patch_embed.bias": (WIDTH,),
            "model.atst.norm_frame.weight": (WIDTH,),
            "model.atst.norm_frame.bias": (WIDTH,),
            "strong_head.weight": (5, WIDTH),
            "strong_head.bias": (5,),
            **blocks,
        }
    )
    torch.save(tensors, tmp_path / "atst.pt")
    encoder, classifier = load_published(tmp_path / "atst.pt")
    feats = torch.randn(2, 36, 64)
    name = "model.atst.patch_embed.patch_embed"
    x = feats.unflatten(1, (9, 4)).mT.flatten(2)  # [B, N, bins * frames]
    x = linear(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"])
    x = x + tensors["model.atst.pos_embed"][:, 1:]
    tensors["model.atst.blocks.0.attn.qkv.bias"] = torch.zeros(3 * WIDTH)
    x = transform(tensors, "model.atst.blocks.0.", x)
    name = "model.atst.norm_frame"
    norms = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
    x = layer_norm(x, (WIDTH,), *norms, 1e-6)
    head = tensors["strong_head.weight"], tensors["strong_head.bias"]
    logits, frame_logits = classifier(encoder.encode(feats).tokens)
    expected = linear(x, *head)
    torch.testing.assert_close(frame_logits, expected, rtol=1e-4, atol=1e-4)
    highest = expected.amax(1, keepdim=True)
    torch.testing.assert_close(logits, highest, rtol=1e-4, atol=1e-4)
