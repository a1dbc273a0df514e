"""The encoder against outputs of the reference implementations.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import struct

import numpy as np
import pytest
import torch

from speechbrain_fftp.lobes.models.AST import AST, TransformerBlock
from speechbrain_fftp.nnet.patching import SquarePatchEmbedding

# Hugging Face's names of a block's layers, in the original's terms
BLOCK = {
    "layernorm_before": "norm1",
    "attention.output.dense": "attn.proj",
    "layernorm_after": "norm2",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
}


def read_safetensors(path):
    """Tensors of a safetensors file that holds float32 only."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header, data = json.loads(data[8 : 8 + size]), bytearray(data[8 + size :])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        assert entry["dtype"] == "F32"
        start, end = entry["data_offsets"]
        tensor = torch.frombuffer(data[start:end], dtype=torch.float32)
        tensors[name] = tensor.view(entry["shape"])
    return tensors


def from_hugging_face(state, depth):
    """Renames Hugging Face's weights to the original's names."""
    root = "audio_spectrogram_transformer."
    tokens = {
        "v.cls_token": "embeddings.cls_token",
        "v.dist_token": "embeddings.distillation_token",
        "v.pos_embed": "embeddings.position_embeddings",
    }
    out = {new: state[root + old] for new, old in tokens.items()}
    for kind in ("weight", "bias"):
        patches = f"{root}embeddings.patch_embeddings.projection.{kind}"
        out[f"v.patch_embed.proj.{kind}"] = state[patches]
        out[f"v.norm.{kind}"] = state[f"{root}layernorm.{kind}"]
        out[f"mlp_head.0.{kind}"] = state[f"classifier.layernorm.{kind}"]
        out[f"mlp_head.1.{kind}"] = state[f"classifier.dense.{kind}"]
        for n in range(depth):
            layer = f"{root}encoder.layer.{n}."
            for old, new in BLOCK.items():
                out[f"v.blocks.{n}.{new}.{kind}"] = state[
                    f"{layer}{old}.{kind}"
                ]
            out[f"v.blocks.{n}.attn.qkv.{kind}"] = torch.cat(
                [
                    state[f"{layer}attention.attention.{name}.{kind}"]
                    for name in ("query", "key", "value")
                ]
            )
    return out


def from_original(state):
    """Renames the original's weights to the encoder's names."""
    position = state["v.pos_embed"][0]
    cls_tokens = torch.cat([state["v.cls_token"], state["v.dist_token"]], 1)
    width = position.shape[1]
    out = {
        "cls_tokens": cls_tokens[0] + position[:2],
        "position.table": position[2:].view(12, -1, width),
    }
    for name, tensor in state.items():
        if name.startswith("v.patch_embed."):
            out[name.replace("v.patch_embed", "embedding")] = tensor
        elif name.startswith(("v.blocks.", "v.norm.")):
            name = name[2:].replace("attn.", "")
            name = name.replace("mlp.fc1", "mlp.0").replace("mlp.fc2", "mlp.3")
            out[name] = tensor
    return out


def build(state, frames, heads, norm_eps, head_eps):
    """Encoder and classifier with the original's weights."""
    width = state["v.pos_embed"].shape[2]
    depth = sum(k.endswith("attn.qkv.bias") for k in state)
    encoder = AST(
        embed_dim=width,
        depth=depth,
        num_heads=heads,
        embedding=SquarePatchEmbedding(128, width, 16, 10),
        max_frames=frames,
        mlp_ratio=state["v.blocks.0.mlp.fc1.bias"].shape[0] / width,
        norm_eps=norm_eps,
    ).eval()
    encoder.load_state_dict(from_original(state))
    classifier = torch.nn.Sequential(
        torch.nn.LayerNorm(width, eps=head_eps),
        torch.nn.Linear(width, state["mlp_head.1.bias"].shape[0]),
    )
    head = {k[9:]: v for k, v in state.items() if k.startswith("mlp_head.")}
    classifier.load_state_dict(head)
    return encoder, classifier


@pytest.mark.parametrize("name", ["hf_tiny", "hf_d128", "hf_d64_t128"])
def test_equals_hugging_face(shared, name):
    folder = shared / "fixtures" / "ast"
    io = np.load(folder / f"{name}_io.npz")
    config = json.loads((folder / name / "config.json").read_text("utf-8"))
    state = from_hugging_face(
        read_safetensors(folder / name / "model.safetensors"),
        config["num_hidden_layers"],
    )
    eps = config["layer_norm_eps"]
    frames, heads = config["max_length"], config["num_attention_heads"]
    encoder, classifier = build(state, frames, heads, eps, eps)
    with torch.no_grad():
        pooled = encoder(torch.from_numpy(io["input"]))
        logits = classifier(pooled)
    assert io["pooled"].std() > 0.1 and io["logits"].std() > 0.1
    np.testing.assert_allclose(pooled[:, 0], io["pooled"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(logits[:, 0], io["logits"], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "name, prefix, heads, frames",
    [("official_d128_module", 7, 2, 1024), ("official_d64_t128", 0, 1, 128)],
)
def test_equals_the_original(shared, name, prefix, heads, frames):
    folder = shared / "fixtures" / "ast"
    io = np.load(folder / f"{name}_io.npz")
    state = torch.load(folder / f"{name}.pth", weights_only=True)
    state = {k[prefix:]: v for k, v in state.items()}
    encoder, classifier = build(state, frames, heads, 1e-6, 1e-5)
    assert encoder.norm.eps == AST(embed_dim=8, depth=1, num_heads=1).norm.eps
    with torch.no_grad():
        logits = classifier(encoder(torch.from_numpy(io["input"])))
    np.testing.assert_allclose(logits[:, 0], io["logits"], rtol=0, atol=1e-4)


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
