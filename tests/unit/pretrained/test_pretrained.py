"""Tests of loading published checkpoints.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import shutil

import numpy as np
import pytest
import torch

from speechbrain_fftp.inference.published import load_model
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.pretrained import load_ast, load_aum, start_from


def random_tensors(shapes, layers):
    """Tensors of these shapes, and weight and bias of these layers."""
    torch.manual_seed(0)
    state = {name: torch.randn(shape) for name, shape in shapes.items()}
    for name, shape in layers.items():
        state[name + ".weight"] = torch.randn(shape)
        state[name + ".bias"] = torch.randn(shape[0])
    return state


def original_ast(positions=2 + 12 * 12):
    """What an original AST file holds: width 64, MLP 96, one block."""
    tokens = {"v.cls_token": [1, 1, 64], "v.dist_token": [1, 1, 64]}
    layers = {
        "v.patch_embed.proj": [64, 1, 16, 16],
        "v.blocks.0.norm1": [64],
        "v.blocks.0.attn.qkv": [192, 64],
        "v.blocks.0.attn.proj": [64, 64],
        "v.blocks.0.norm2": [64],
        "v.blocks.0.mlp.fc1": [96, 64],
        "v.blocks.0.mlp.fc2": [64, 96],
        "v.norm": [64],
        "v.head": [7, 64],
        "v.head_dist": [7, 64],
        "mlp_head.0": [64],
        "mlp_head.1": [5, 64],
    }
    return random_tensors({**tokens, "v.pos_embed": [1, positions, 64]}, layers)


def original_aum():
    """What an Audio Mamba file holds: Fo-Bi, width 24, one block."""
    mixer = "layers.0.mixer."
    shapes = {
        "cls_token": [1, 1, 24],
        "pos_embed.pos_embed": [1, 1 + 8 * 8, 24],
        "layers.0.norm.weight": [24],
        "norm_f.weight": [24],
        mixer + "A_log": [72, 4],
        mixer + "A_b_log": [72, 4],
        mixer + "D": [72],
        mixer + "in_proj.weight": [144, 24],
        mixer + "x_proj.weight": [5 + 2 * 4, 72],
        mixer + "out_proj.weight": [24, 72],
    }
    layers = {
        "patch_embed.proj": [24, 1, 16, 16],
        mixer + "conv1d": [72, 1, 3],
        mixer + "dt_proj": [72, 5],
        "head": [6, 24],
    }
    return random_tensors(shapes, layers)


LOADERS = {"ast": (load_ast, original_ast), "aum": (load_aum, original_aum)}
both = pytest.mark.parametrize("kind", LOADERS)


@pytest.fixture
def saved(tmp_path):
    """Saves an object, and returns the path."""

    def save(obj, name="some.pth"):
        torch.save(obj, tmp_path / name)
        return tmp_path / name

    return save


def check_outputs(encoder, classifier, io, embedding):
    """Compares with what the reference returned."""
    for root in (encoder, classifier):
        assert not any(module.training for module in root.modules())
        assert {p.dtype for p in root.parameters()} == {torch.float32}
    with torch.no_grad():
        out = encoder(torch.from_numpy(io["input"]))
        logits = classifier(out)
    if embedding is not None:
        assert io[embedding].std() > 0.1
        np.testing.assert_allclose(out[:, 0], io[embedding], rtol=0, atol=1e-4)
    assert io["logits"].std() > 0.1
    np.testing.assert_allclose(logits[:, 0], io["logits"], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "name, width, heads, columns, classes",
    [
        ("hf_tiny", 48, 4, 101, 35),
        ("hf_d128", 128, 2, 101, 10),
        ("hf_d64_t128", 64, 1, 12, 35),
        ("official_d128_module.pth", 128, 2, 101, 10),
        ("official_d64_t128.pth", 64, 1, 12, 35),
    ],
)
def test_ast_equals_the_reference(shared, name, width, heads, columns, classes):
    folder = shared / "fixtures" / "ast"
    encoder, classifier = load_ast(str(folder / name))
    assert len(encoder.blocks) == 2 and encoder.blocks[1].num_heads == heads
    assert encoder.position.table.shape == (12, columns, width)
    assert classifier[1].weight.shape == (classes, width)
    hub = name.startswith("hf")
    assert encoder.norm.eps == encoder.blocks[0].norm2.eps
    eps = (1e-12, 1e-12) if hub else (1e-6, 1e-5)
    assert (encoder.norm.eps, classifier[0].eps) == eps
    io = np.load(folder / (name.split(".")[0] + "_io.npz"))
    check_outputs(encoder, classifier, io, "pooled" if hub else None)


@pytest.mark.parametrize("form", ["fobi", "bibi"])
@pytest.mark.parametrize("frames", [1024, 128])
def test_aum_equals_the_reference(shared, form, frames):
    folder = shared / "fixtures" / "aum"
    encoder, classifier = load_aum(str(folder / f"{form}_t{frames}.pth"))
    assert len(encoder.blocks) == 2
    assert encoder.position.table.shape == (8, frames // 16, 64)
    assert classifier.weight.shape == (35, 64)
    assert hasattr(encoder.blocks[0].mixer, "x_proj_b") == (form == "bibi")
    io = np.load(folder / f"{form}_t{frames}_io.npz")
    check_outputs(encoder, classifier, io, "embedding")


def test_sizes_of_aum_are_inferred(saved):
    encoder, classifier = load_aum(saved(original_aum()))
    assert encoder.position.table.shape == (8, 8, 24)
    assert classifier.out_features == 6
    mixer = encoder.blocks[0].mixer
    assert mixer.A_log.shape == (72, 4) and mixer.conv1d.weight.shape[2] == 3
    assert mixer.dt_proj.weight.shape == (72, 5)
    assert encoder(torch.randn(2, 40, 128)).shape == (2, 1, 24)


@pytest.mark.parametrize("columns, frames", [(101, 1024), (12, 128), (50, 512)])
def test_clip_length_of_an_original_ast(saved, columns, frames):
    encoder, _ = load_ast(saved(original_ast(2 + 12 * columns)))
    assert encoder.position.table.shape[1] == columns
    assert encoder.embedding.time_patches(frames) == columns
    assert encoder.blocks[0].mlp[0].out_features == 96


@both
@pytest.mark.parametrize("nest", ["model", "state_dict", None])
def test_nested_prefixed_and_half_precision(saved, kind, nest):
    load, original = LOADERS[kind]
    state = {k: v.half() for k, v in original().items()}
    expected, expected_head = load(saved(state))
    state = {f"module.{key}": value for key, value in state.items()}
    state = state if nest is None else {nest: state, "epoch": 3}
    encoder, head = load(saved(state))
    for loaded, other in ((encoder, expected), (head, expected_head)):
        torch.testing.assert_close(loaded.state_dict(), other.state_dict())
    # Class tokens and positions are added up in float32.
    token = encoder.cls_token if kind == "aum" else encoder.cls_tokens[0]
    assert not torch.equal(token, token.half().float())


@both
def test_a_file_is_read_once(saved, kind, monkeypatch):
    load, original = LOADERS[kind]
    path, read, reads = saved(original()), torch.load, []

    def count(*args, **kwargs):
        reads.append(args)
        return read(*args, **kwargs)

    monkeypatch.setattr(torch, "load", count)
    encoder, _ = load(path)
    load_model(path)
    start_from(encoder, path)
    assert len(reads) == 3


@both
def test_missing_and_unknown_tensors_are_named(saved, kind):
    load, original = LOADERS[kind]
    names = sorted(set(original()) - {"v.head.weight", "v.head_dist.bias"})
    state = original()
    removed = names[0]
    del state[removed]
    state["extra.bias"] = torch.zeros(2)
    with pytest.raises(ValueError, match="some.pth") as error:
        load(saved(state))
    assert f"Missing: {removed}. Unknown: extra.bias." in str(error.value)
    assert "of depth 1." in str(error.value)
    extra = {f"extra.{n}": torch.zeros(1) for n in range(12)}
    with pytest.raises(ValueError, match=r"extra.0,.* \.\.\. \(12 in all\)"):
        load(saved({**original(), **extra}))


@both
def test_no_tensor_can_be_left_out(saved, kind):
    load, original = LOADERS[kind]
    for name in original():
        state = original()
        del state[name]
        if name.startswith("v.head"):
            load(saved(state))
            continue
        with pytest.raises(ValueError, match=f"Missing: {name}"):
            load(saved(state))


@pytest.mark.parametrize(
    "kind, name, shape, message",
    [
        ("ast", "v.pos_embed", [1, 2 + 8 * 31, 64], "250 positions.* 12 rows"),
        ("ast", "v.pos_embed", [1, 2, 64], "2 positions"),
        ("ast", "v.blocks.0.attn.proj.bias", [65], "proj.bias"),
        ("ast", "v.patch_embed.proj.weight", [96, 1, 16, 16], "width 96"),
        ("ast", "v.patch_embed.proj.weight", [64, 1, 128, 2], "not square"),
        ("ast", "v.patch_embed.proj.weight", [64, 256], "unpack"),
        ("aum", "pos_embed.pos_embed", [1, 60, 24], "60 positions.* 8 rows"),
        ("aum", "pos_embed.pos_embed", [1, 1, 24], "1 positions"),
        ("aum", "head.weight", [6, 25], "size mismatch for weight"),
        ("aum", "layers.0.mixer.in_proj.weight", [144, 25], "in_proj"),
    ],
)
def test_tensors_that_do_not_fit(saved, kind, name, shape, message):
    load, original = LOADERS[kind]
    state = {**original(), name: torch.zeros(shape)}
    with pytest.raises(ValueError, match=rf"(?s)some\.pth.*{message}"):
        load(saved(state))


def test_wrong_kind_names_the_right_loader(saved, tmp_path):
    with pytest.raises(ValueError, match="for load_aum, not for load_ast"):
        load_ast(saved(original_aum()))
    with pytest.raises(ValueError, match="for load_ast, not for load_aum"):
        load_aum(saved(original_ast()))
    own = AST(embed_dim=8, depth=1, num_heads=1).state_dict()
    with pytest.raises(ValueError, match="for start_from, not for load_ast"):
        load_ast(saved(own))
    with pytest.raises(ValueError, match="is a folder, not a file"):
        load_aum(tmp_path)


@pytest.fixture
def hub(shared, tmp_path):
    """Copies a Hugging Face folder, with some keys of its config changed."""

    def copy(**changes):
        folder = tmp_path / "hub"
        shutil.copytree(shared / "fixtures" / "ast" / "hf_d64_t128", folder)
        path = folder / "config.json"
        config = {**json.loads(path.read_text("utf-8")), **changes}
        path.write_text(json.dumps(config), "utf-8")
        return folder

    return copy


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"hidden_act": "relu"}, "config.json: hidden_act is 'relu'.*'gelu'"),
        ({"qkv_bias": False}, "config.json: qkv_bias is False"),
        ({"model_type": "vit"}, "config.json: model_type is 'vit'"),
        ({"frequency_stride": 8}, "frequency_stride=8 and time_stride=10"),
        ({"patch_size": None}, "config.json: patch_size must.*None"),
        ({"max_length": 128.0}, "config.json: max_length must.*128.0"),
        ({"layer_norm_eps": "1e-5"}, "config.json: layer_norm_eps must"),
        ({"num_attention_heads": 7}, "embed_dim=64.*num_heads=7"),
        ({"num_hidden_layers": 3}, r"(?s)depth 3.*encoder\.layer\.2.*all"),
        ({"max_length": 1024}, "146 positions.* 12 rows of 101"),
        ({"num_mel_bins": 64}, "146 positions.* 5 rows of 12"),
        ({"patch_size": 15}, "(?s)safetensors.*embedding.proj.weight"),
        ({"intermediate_size": 255}, r"(?s)safetensors.*mlp\.0\.weight"),
        ({"hidden_size": 65}, "(?s)safetensors.*"),
    ],
)
def test_config_that_does_not_fit(hub, changes, message):
    with pytest.raises(ValueError, match=message):
        load_ast(hub(**changes))


def test_config_is_the_authority(hub):
    folder = hub(num_attention_heads=4, layer_norm_eps=0.5)
    encoder, classifier = load_ast(folder)
    assert encoder.blocks[0].num_heads == 4
    assert encoder.blocks[0].norm1.eps == classifier[0].eps == 0.5


def test_incomplete_or_damaged_folder(hub):
    folder = hub()
    weights, config = folder / "model.safetensors", folder / "config.json"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(ValueError, match="model.safetensors cannot be read"):
        load_ast(folder)
    weights.unlink()
    with pytest.raises(FileNotFoundError, match="model.safetensors"):
        load_ast(folder)
    for text, message in (("{", "is not JSON"), ("[]", "not contain a JSON")):
        config.write_text(text, "utf-8")
        with pytest.raises(ValueError, match=f"config.json.*{message}"):
            load_ast(folder)
    config.unlink()
    with pytest.raises(FileNotFoundError, match="config.json"):
        load_ast(folder)
