"""Tests of loading published CED models.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from speechbrain_fftp.lobes.models.CED import CED
from speechbrain_fftp.pretrained import load_ced, start_from

HUGE = 2**20


def published(width=64, depth=1, bins=64, columns=63, classes=5):
    """What a file of such a CED holds."""
    torch.manual_seed(0)
    layers = {
        "encoder.init_bn": [bins],
        "encoder.patch_embed.proj": [width, 1, 16, 16],
        "encoder.norm": [width],
        "outputlayer.0": [width],
        "outputlayer.1": [classes, width],
    }
    for i in range(depth):
        block = f"encoder.blocks.{i}."
        for name in ("norm1", "norm2"):
            layers[block + name] = [width]
        layers[block + "attn.qkv"] = [3 * width, width]
        layers[block + "attn.proj"] = [width, width]
        layers[block + "mlp.fc1"] = [4 * width, width]
        layers[block + "mlp.fc2"] = [width, 4 * width]
    state = {
        "encoder.init_bn.num_batches_tracked": torch.tensor(7),
        "encoder.init_bn.running_mean": torch.randn(bins),
        "encoder.init_bn.running_var": torch.rand(bins),
        "encoder.time_pos_embed": torch.randn(1, width, 1, columns),
        "encoder.freq_pos_embed": torch.randn(1, width, bins // 16, 1),
    }
    for name, shape in layers.items():
        state[f"{name}.weight"] = torch.randn(shape)
        state[f"{name}.bias"] = torch.randn(shape[0])
    return state


CONFIG = {
    "model_type": "ced",
    "depth": 1,
    "embed_dim": 64,
    "eval_avg": "mean",
    "mlp_ratio": 4.0,
    "n_mels": 64,
    "name": "ced-x",
    "num_heads": 2,
    "outputdim": 5,
    "pad_last": True,
    "patch_size": 16,
    "patch_stride": 16,
    "pooling": "mean",
    "qkv_bias": True,
    "target_length": 1012,
}


@pytest.fixture
def folder(tmp_path):
    """A function that writes a Hugging Face folder."""

    def write(tensors=None, **config):
        save_file(tensors or published(), tmp_path / "model.safetensors")
        text = json.dumps({**CONFIG, **config})
        (tmp_path / "config.json").write_text(text, "utf-8")
        return tmp_path

    return write


@pytest.mark.parametrize(
    "name, width, heads",
    [
        ("ced-tiny", 192, 3),
        ("ced-mini", 256, 4),
        ("ced-small", 384, 6),
        ("ced-base", 768, 12),
    ],
)
def test_published_names_fix_width_and_heads(folder, name, width, heads):
    """The file's own sizes are those of another model."""
    encoder, _ = load_ced(folder(published(width), name=name))
    assert (encoder.embed_dim, encoder.num_heads) == (width, heads)
    assert encoder.blocks[0].num_heads == heads
    with pytest.raises(ValueError, match="size mismatch"):
        load_ced(folder(published(64), name=name))


@pytest.mark.parametrize("name", ["ced", "CED-TINY", None, ["ced-tiny"], 3])
def test_other_names_leave_them_to_the_config(folder, name):
    encoder, classifier = load_ced(folder(name=name))
    assert (encoder.embed_dim, encoder.num_heads) == (64, 2)
    assert encoder.max_frames == 1012 and encoder.mlp_ratio == 4.0
    assert encoder.norm.eps == encoder.blocks[0].norm1.eps == 1e-6
    assert encoder.bin_norm.eps == classifier[0].eps == 1e-5
    assert encoder.bin_norm.num_batches_tracked.item() == 7
    for module in (encoder, classifier):
        assert not any(m.training for m in module.modules())
        assert {p.dtype for p in module.parameters()} == {torch.float32}
    found = {**encoder.state_dict(), **classifier.state_dict()}
    assert sum(v.numel() for v in found.values()) == sum(
        v.numel() for v in published().values()
    )


def test_pooling_may_leave_out_the_sigmoid(folder):
    _, mean = load_ced(folder())
    _, logit = load_ced(folder(pooling="logit"))
    torch.testing.assert_close(mean.state_dict(), logit.state_dict())


@pytest.mark.parametrize(
    "config, message",
    [
        ({"model_type": "vit"}, "model_type is 'vit', but only 'ced'"),
        ({"pooling": "token"}, "pooling is 'token', .* 'mean' or 'logit'"),
        ({"pooling": "dm"}, "pooling is 'dm'"),
        ({"pooling": ["mean"]}, "pooling is \\['mean'\\]"),
        ({"pad_last": False}, "pad_last is False, but only True"),
        ({"pad_last": None}, "pad_last is None"),
        ({"patch_size": 8}, "patch_size is 8, but only 16"),
        ({"patch_stride": 10}, "patch_stride is 10"),
        ({"qkv_bias": False}, "qkv_bias is False"),
        ({"eval_avg": "max"}, "eval_avg is 'max'"),
        ({"depth": "1"}, "depth must be an integer from 1 to"),
        ({"depth": 0}, "depth must be an integer"),
        ({"n_mels": 2 * HUGE}, "n_mels must be an integer"),
        ({"target_length": 1012.0}, "target_length must be an integer"),
        ({"mlp_ratio": float("nan")}, "mlp_ratio must be a number above 0"),
        ({"mlp_ratio": 1e300}, "mlp_ratio must be a number above 0"),
        ({"mlp_ratio": "4"}, "mlp_ratio must be a number above 0"),
    ],
)
def test_unsupported_settings_are_errors(folder, config, message):
    with pytest.raises(ValueError, match=f"config.json: {message}"):
        load_ced(folder(**config))


@pytest.mark.parametrize(
    "config, message",
    [
        ({"num_heads": 7}, "embed_dim=64 must be a multiple of num_heads=7"),
        ({"depth": 2}, "depth 2. Missing: encoder.blocks.1"),
        ({"depth": HUGE}, "tensors are too few for a CED of depth 1048576"),
        ({"embed_dim": HUGE}, "size mismatch"),
        ({"n_mels": 15}, "16 bins is taller than"),
        ({"n_mels": HUGE}, "size mismatch"),
        ({"target_length": 15}, "16 frames is longer than"),
        ({"target_length": HUGE}, "size mismatch for time_positions"),
        ({"mlp_ratio": HUGE}, "size mismatch"),
        ({"mlp_ratio": 1.0}, "size mismatch"),
        ({"embed_dim": HUGE, "mlp_ratio": HUGE, "n_mels": HUGE}, ""),
    ],
)
def test_sizes_that_do_not_fit_are_errors(folder, config, message):
    with pytest.raises(ValueError, match=f"(?s)safetensors: .*{message}"):
        load_ced(folder(**config))


def test_no_tensor_can_be_left_out_or_added(folder):
    for name in published():
        tensors = published()
        del tensors[name]
        with pytest.raises(ValueError, match=f"Missing: {name}"):
            load_ced(folder(tensors))
    tensors = {**published(), "encoder.cls_token": torch.zeros(1)}
    with pytest.raises(ValueError, match="Unknown: encoder.cls_token"):
        load_ced(folder(tensors))


@pytest.mark.parametrize(
    "name, shape",
    [
        ("encoder.time_pos_embed", [1, 64, 1, 62]),
        ("encoder.time_pos_embed", [64]),
        ("encoder.freq_pos_embed", [1, 64, 5, 1]),
        ("encoder.freq_pos_embed", []),
        ("encoder.init_bn.num_batches_tracked", [2]),
        ("encoder.init_bn.running_var", [63]),
        ("outputlayer.1.weight", [6, 64]),
        ("encoder.blocks.0.attn.qkv.weight", [64, 64]),
    ],
)
def test_tensors_that_do_not_fit_are_errors(folder, name, shape):
    tensors = {**published(), name: torch.zeros(shape)}
    with pytest.raises(ValueError, match="model.safetensors: "):
        load_ced(folder(tensors))


def test_missing_and_damaged_files(folder, tmp_path):
    path = folder()
    with pytest.raises(FileNotFoundError, match="no folder .*model.safete"):
        load_ced(path / "model.safetensors")
    (path / "model.safetensors").write_bytes(b"\xff" * 99)
    with pytest.raises(ValueError, match="model.safetensors cannot be read"):
        load_ced(path)
    (path / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="model.safetensors"):
        load_ced(path)
    (path / "config.json").write_text("{", "utf-8")
    with pytest.raises(ValueError, match="config.json is not JSON"):
        load_ced(path)
    (path / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match="config.json"):
        load_ced(path)


def test_an_encoder_starts_from_it(shared, tmp_path):
    shutil.copytree(shared / "fixtures" / "ced" / "ced_a", tmp_path / "a")
    encoder = CED(embed_dim=64, depth=2, num_heads=2, dropout=0.1)
    names = start_from(encoder, tmp_path / "a")
    assert set(names) == set(encoder.state_dict())
    saved = load_file(tmp_path / "a" / "model.safetensors")
    for ours, theirs in (
        ("bin_norm.running_var", "init_bn.running_var"),
        ("blocks.1.mlp.3.weight", "blocks.1.mlp.fc2.weight"),
        ("embedding.proj.bias", "patch_embed.proj.bias"),
    ):
        found = encoder.state_dict()[ours]
        assert torch.equal(found, saved[f"encoder.{theirs}"])
    assert encoder.training and encoder.blocks[0].dropout == 0.1
    with pytest.raises(
        ValueError, match="num_heads=2, the encoder num_heads=4"
    ):
        start_from(CED(embed_dim=64, depth=2, num_heads=4), tmp_path / "a")
    shorter = CED(embed_dim=64, depth=2, num_heads=2, max_frames=500)
    with pytest.raises(ValueError, match=r"time_positions is \[63, 64\]"):
        start_from(shorter, tmp_path / "a")
