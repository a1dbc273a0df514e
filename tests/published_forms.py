"""Small published models with random weights, in each form that is loaded.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
from dataclasses import dataclass, field

import torch
from safetensors.torch import save_file


def random_tensors(shapes, layers):
    """Tensors of these shapes, and weight and bias of these layers."""
    generator = torch.Generator().manual_seed(0)
    shapes = dict(shapes)
    for name, shape in layers.items():
        shapes[name + ".weight"] = shape
        shapes[name + ".bias"] = shape[:1]
    return {
        name: 0.3 * torch.randn(shape, generator=generator)
        for name, shape in shapes.items()
    }


def block_layers(prefix, width, hidden):
    """Layers of a transformer block as timm names them."""
    return {
        prefix + "norm1": [width],
        prefix + "attn.qkv": [3 * width, width],
        prefix + "attn.proj": [width, width],
        prefix + "norm2": [width],
        prefix + "mlp.fc1": [hidden, width],
        prefix + "mlp.fc2": [width, hidden],
    }


def ast_file(n_positions=2 + 12 * 12):
    """An original AST: width 64, MLP 96, one block, 128 frames."""
    shapes = {
        "v.cls_token": [1, 1, 64],
        "v.dist_token": [1, 1, 64],
        "v.pos_embed": [1, n_positions, 64],
    }
    layers = {
        "v.patch_embed.proj": [64, 1, 16, 16],
        "v.norm": [64],
        "mlp_head.0": [64],
        "mlp_head.1": [5, 64],
        **block_layers("v.blocks.0.", width=64, hidden=96),
    }
    return random_tensors(shapes, layers)


def ast_folder():
    """The same AST under Hugging Face's names."""
    root = "audio_spectrogram_transformer."
    layer = root + "encoder.layer.0."
    prefixes = {
        "v.cls_token": root + "embeddings.cls_token",
        "v.dist_token": root + "embeddings.distillation_token",
        "v.pos_embed": root + "embeddings.position_embeddings",
        "v.patch_embed.proj": root + "embeddings.patch_embeddings.projection",
        "v.blocks.0.norm1": layer + "layernorm_before",
        "v.blocks.0.attn.proj": layer + "attention.output.dense",
        "v.blocks.0.norm2": layer + "layernorm_after",
        "v.blocks.0.mlp.fc1": layer + "intermediate.dense",
        "v.blocks.0.mlp.fc2": layer + "output.dense",
        "v.norm": root + "layernorm",
        "mlp_head.0": "classifier.layernorm",
        "mlp_head.1": "classifier.dense",
    }
    original, tensors = ast_file(), {}
    for kind in ("weight", "bias"):
        qkv = original.pop(f"v.blocks.0.attn.qkv.{kind}").chunk(3)
        for part, tensor in zip(("query", "key", "value"), qkv):
            name = f"{layer}attention.attention.{part}.{kind}"
            tensors[name] = tensor.contiguous()
    for name, tensor in original.items():
        (old,) = (prefix for prefix in prefixes if name.startswith(prefix))
        tensors[prefixes[old] + name.removeprefix(old)] = tensor
    return tensors


def aum_file():
    """An Audio Mamba of width 24 with one block and 128 frames."""
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
        mixer + "x_proj.weight": [2 + 2 * 4, 72],
        mixer + "out_proj.weight": [24, 72],
    }
    layers = {
        "patch_embed.proj": [24, 1, 16, 16],
        mixer + "conv1d": [72, 1, 3],
        mixer + "dt_proj": [72, 2],
        "head": [6, 24],
    }
    return random_tensors(shapes, layers)


def ced_folder(width=64):
    """A CED with one block."""
    shapes = {
        "encoder.init_bn.running_mean": [64],
        "encoder.time_pos_embed": [1, width, 1, 63],
        "encoder.freq_pos_embed": [1, width, 4, 1],
    }
    layers = {
        "encoder.init_bn": [64],
        "encoder.patch_embed.proj": [width, 1, 16, 16],
        "encoder.norm": [width],
        "outputlayer.0": [width],
        "outputlayer.1": [5, width],
        **block_layers("encoder.blocks.0.", width, hidden=4 * width),
    }
    return {
        "encoder.init_bn.num_batches_tracked": torch.tensor(7),
        "encoder.init_bn.running_var": torch.linspace(0.5, 2.0, 64),
        **random_tensors(shapes, layers),
    }


def atst_file(n_classes=5):
    """An ATST-Frame with one block and 128 positions."""
    root = "model.atst."
    layers = {
        root + "patch_embed.patch_embed": [64, 256],
        root + "norm_frame": [64],
        "strong_head": [n_classes, 64],
        **block_layers(root + "blocks.0.", width=64, hidden=96),
    }
    tensors = random_tensors({root + "pos_embed": [1, 1 + 128, 64]}, layers)
    del tensors[root + "blocks.0.attn.qkv.bias"]
    return tensors


def dasheng_folder(width=64):
    """A Dasheng with one block and 24 positions."""
    shapes = {
        "encoder.init_bn.1.running_mean": [64],
        "encoder.time_pos_embed": [1, width, 1, 24],
        "encoder.freq_pos_embed": [1, width, 1, 1],
    }
    layers = {
        "encoder.init_bn.1": [64],
        "encoder.patch_embed.proj": [width, 1, 64, 4],
        "encoder.norm": [width],
        **block_layers("encoder.blocks.0.", width, hidden=96),
    }
    return {
        "encoder.init_bn.1.num_batches_tracked": torch.tensor(7),
        "encoder.init_bn.1.running_var": torch.linspace(0.5, 2.0, 64),
        **random_tensors(shapes, layers),
    }


def dasheng_file(width=64):
    """The same Dasheng under its authors' names."""
    return {
        name.removeprefix("encoder."): tensor
        for name, tensor in dasheng_folder(width).items()
    }


AST_CONFIG = {
    "model_type": "audio-spectrogram-transformer",
    "hidden_act": "gelu",
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "max_length": 128,
    "num_mel_bins": 128,
    "time_stride": 10,
    "frequency_stride": 10,
    "layer_norm_eps": 1e-6,
}
AST_PREPROCESSOR = {
    "num_mel_bins": 128,
    "mean": -4.0,
    "std": 4.5,
    "sampling_rate": 16000,
}
CED_CONFIG = {
    "model_type": "ced",
    "name": "ced-x",
    "num_heads": 2,
    "pooling": "mean",
    "target_length": 1012,
}
CED_PREPROCESSOR = {
    "n_fft": 512,
    "win_size": 512,
    "hop_size": 160,
    "feature_size": 64,
    "sampling_rate": 16000,
}
DASHENG_CONFIG = {"model_type": "dasheng", "encoder_kwargs": {"num_heads": 1}}


@dataclass
class Form:
    """One form of published models."""

    family: str
    make_tensors: callable
    config: dict = field(default_factory=dict)
    preprocessor: dict = field(default_factory=dict)

    def write(self, folder, tensors=None, config=(), preprocessor=()):
        """Writes a model; returns its path and that of its weights."""
        folder.mkdir(exist_ok=True)
        tensors = self.make_tensors() if tensors is None else tensors
        if not self.config:
            torch.save(tensors, folder / "model.pth")
            return folder / "model.pth", folder / "model.pth"
        config = {**self.config, **dict(config)}
        (folder / "config.json").write_text(json.dumps(config), "utf-8")
        settings = {**self.preprocessor, **dict(preprocessor)}
        path = folder / "preprocessor_config.json"
        path.write_text(json.dumps(settings), "utf-8")
        save_file(tensors, folder / "model.safetensors")
        return folder, folder / "model.safetensors"


FORMS = {
    "AST folder": Form("AST", ast_folder, AST_CONFIG, AST_PREPROCESSOR),
    "AST file": Form("AST", ast_file),
    "AuM": Form("Audio Mamba", aum_file),
    "CED": Form("CED", ced_folder, CED_CONFIG, CED_PREPROCESSOR),
    "ATST-Frame": Form("ATST-Frame", atst_file),
    "Dasheng folder": Form(
        "Dasheng", dasheng_folder, DASHENG_CONFIG, CED_PREPROCESSOR
    ),
    "Dasheng file": Form("Dasheng", dasheng_file),
}
