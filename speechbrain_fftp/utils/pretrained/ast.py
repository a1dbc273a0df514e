"""Loads published checkpoints of the Audio Spectrogram Transformer.

Two forms: the original's ``.pth`` (https://github.com/YuanGongND/ast) and
Hugging Face folders with config.json and model.safetensors.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
from pathlib import Path

import torch

from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.nnet.patching import SquarePatchEmbedding
from speechbrain_fftp.utils.pretrained.tensors import (
    count_blocks,
    fill_model,
    naming_file,
    read_tensors,
    rename_tensors,
)

# Names here, and of the file's tensors, see rename_tensors.
ORIGINAL = {
    "tokens": ["v.cls_token", "v.dist_token"],
    "positions": ["v.pos_embed"],
    "embedding.proj.*": ["v.patch_embed.proj.*"],
    "blocks.#.norm1.*": ["v.blocks.#.norm1.*"],
    "blocks.#.qkv.*": ["v.blocks.#.attn.qkv.*"],
    "blocks.#.proj.*": ["v.blocks.#.attn.proj.*"],
    "blocks.#.norm2.*": ["v.blocks.#.norm2.*"],
    "blocks.#.mlp.0.*": ["v.blocks.#.mlp.fc1.*"],
    "blocks.#.mlp.3.*": ["v.blocks.#.mlp.fc2.*"],
    "norm.*": ["v.norm.*"],
    "classifier.0.*": ["mlp_head.0.*"],
    "classifier.1.*": ["mlp_head.1.*"],
}

# The original's two ImageNet classifiers, which are in its files but which it
# never runs.
ORIGINAL_UNUSED = {
    "v.head.weight",
    "v.head.bias",
    "v.head_dist.weight",
    "v.head_dist.bias",
}

ROOT = "audio_spectrogram_transformer."
EMBEDDINGS = ROOT + "embeddings."
LAYER = ROOT + "encoder.layer.#."
HUGGING_FACE = {
    "tokens": [EMBEDDINGS + "cls_token", EMBEDDINGS + "distillation_token"],
    "positions": [EMBEDDINGS + "position_embeddings"],
    "embedding.proj.*": [EMBEDDINGS + "patch_embeddings.projection.*"],
    "blocks.#.norm1.*": [LAYER + "layernorm_before.*"],
    "blocks.#.qkv.*": [
        LAYER + "attention.attention.query.*",
        LAYER + "attention.attention.key.*",
        LAYER + "attention.attention.value.*",
    ],
    "blocks.#.proj.*": [LAYER + "attention.output.dense.*"],
    "blocks.#.norm2.*": [LAYER + "layernorm_after.*"],
    "blocks.#.mlp.0.*": [LAYER + "intermediate.dense.*"],
    "blocks.#.mlp.3.*": [LAYER + "output.dense.*"],
    "norm.*": [ROOT + "layernorm.*"],
    "classifier.0.*": ["classifier.layernorm.*"],
    "classifier.1.*": ["classifier.dense.*"],
}

# What config.json must say: with anything else, it is another model.
CONFIG_FIXED = {
    "model_type": "audio-spectrogram-transformer",
    "hidden_act": "gelu",
    "qkv_bias": True,
}

MAX_SIZE = 2**20

# The sizes in config.json, by their names here.
CONFIG_SIZES = {
    "embed_dim": "hidden_size",
    "depth": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "mlp_dim": "intermediate_size",
    "max_frames": "max_length",
    "n_mels": "num_mel_bins",
    "patch_size": "patch_size",
    "stride": "time_stride",
}


def load_ast(source):
    """Loads a published Audio Spectrogram Transformer.

    An original file holds neither the number of heads, 64 channels each in all
    published sizes, nor the stride, here taken to be the 10 bins and frames of
    the published ``10_10`` files, nor the clip's exact number of frames. Of the
    ten numbers that make as many patches, the greatest multiple of 8 is taken:
    it is the 1024, 512 or 128 of the published training settings.

    Arguments
    ---------
    source : str
        A Hugging Face folder with config.json, which is the authority on all
        sizes, and model.safetensors; or an original ``.pth`` file, saved by
        ``DataParallel`` or not.

    Returns
    -------
    encoder : speechbrain_fftp.lobes.models.AST.AST
        The encoder: float32, on the CPU, in eval mode, without dropout.
    classifier : torch.nn.Sequential
        Its layer normalisation and linear layer, likewise.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or the folder lacks one.
    ValueError
        If it cannot be read, or is no AST as ``AST`` can be. The message names
        the file and what is wrong.

    Example
    -------
    >>> shapes = {
    ...     "patch_embed.proj": [64, 1, 16, 16],
    ...     "blocks.0.norm1": [64],
    ...     "blocks.0.attn.qkv": [192, 64],
    ...     "blocks.0.attn.proj": [64, 64],
    ...     "blocks.0.norm2": [64],
    ...     "blocks.0.mlp.fc1": [256, 64],
    ...     "blocks.0.mlp.fc2": [64, 256],
    ...     "norm": [64],
    ... }
    >>> shapes = {f"v.{name}": shape for name, shape in shapes.items()}
    >>> shapes.update({"mlp_head.0": [64], "mlp_head.1": [527, 64]})
    >>> state = {f"{k}.weight": torch.zeros(v) for k, v in shapes.items()}
    >>> state.update(
    ...     {f"{k}.bias": torch.zeros(v[0]) for k, v in shapes.items()}
    ... )
    >>> state["v.cls_token"] = state["v.dist_token"] = torch.zeros(1, 1, 64)
    >>> state["v.pos_embed"] = torch.zeros(1, 1214, 64)
    >>> path = getfixture("tmpdir") / "audioset_10_10.pth"
    >>> torch.save(state, path)
    >>> encoder, classifier = load_ast(path)
    >>> classifier(encoder(torch.rand(2, 1024, 128))).shape
    torch.Size([2, 1, 527])
    """
    path = Path(source)
    if path.is_dir():
        sizes = _config_sizes(path / "config.json")
        path = path / "model.safetensors"
        table, depth = HUGGING_FACE, sizes["depth"]
        state = read_tensors(path)
    else:
        sizes, table = None, ORIGINAL
        state = read_tensors(path, "load_ast")
        for name in ORIGINAL_UNUSED:
            state.pop(name, None)
        depth = max(1, count_blocks(state, "v.blocks."))
    with naming_file(path):
        what = f"an AST of depth {depth}"
        tensors = rename_tensors(state, table, depth, what)
        if sizes is None:
            sizes = _original_sizes(tensors, depth)
        width = sizes["embed_dim"]
        with torch.device("meta"):
            embedding = SquarePatchEmbedding(
                sizes["n_mels"], width, sizes["patch_size"], sizes["stride"]
            )
            encoder = AST(
                sizes["n_mels"],
                width,
                depth,
                sizes["num_heads"],
                embedding,
                sizes["max_frames"],
                mlp_ratio=sizes["mlp_dim"] / width,
                norm_eps=sizes["norm_eps"],
            )
            classes = tensors["classifier.1.bias"].numel()
            classifier = torch.nn.Sequential(
                torch.nn.LayerNorm(width, eps=sizes["head_eps"]),
                torch.nn.Linear(width, classes),
            )
        fill_model(encoder, classifier, tensors)
    return encoder.eval(), classifier.eval()


def _config_sizes(path):
    """Sizes of the AST that a config.json describes."""
    try:
        config = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path} holds no JSON object of keys and values.")
    for key, value in CONFIG_FIXED.items():
        if config.get(key) != value:
            raise ValueError(
                f"{path}: {key} is {config.get(key)!r}, but only {value!r} can "
                "be loaded."
            )
    sizes = {name: config.get(key) for name, key in CONFIG_SIZES.items()}
    for name, value in sizes.items():
        if not isinstance(value, int) or not 0 < value <= MAX_SIZE:
            raise ValueError(
                f"{path}: {CONFIG_SIZES[name]} must be a whole number from 1 "
                f"to {MAX_SIZE}, not {value!r}."
            )
    if config.get("frequency_stride") != sizes["stride"]:
        raise ValueError(
            f"{path}: frequency_stride={config.get('frequency_stride')!r} and "
            f"time_stride={sizes['stride']} must be equal."
        )
    eps = config.get("layer_norm_eps")
    if not isinstance(eps, (int, float)) or not 0 < eps < float("inf"):
        raise ValueError(
            f"{path}: layer_norm_eps must be a number above 0, not {eps!r}."
        )
    return {**sizes, "norm_eps": eps, "head_eps": eps}


def _original_sizes(tensors, depth):
    """Sizes of an original AST with these renamed tensors."""
    width, _, bins, frames = tensors["embedding.proj.weight"].shape
    _, rows, _ = tensors["positions"].shape
    n_mels, stride = 128, 10
    if bins != frames or not 0 < bins <= n_mels:
        raise ValueError(
            f"Patches of {bins} bins by {frames} frames are no square ones of "
            f"a spectrogram with {n_mels} bins."
        )
    if not width or width % 64:
        raise ValueError(
            f"The width {width} is no multiple of 64, the channels of one head "
            "in every published AST: the number of heads is not known."
        )
    freq_patches = (n_mels - bins) // stride + 1
    time_patches = max((rows - 2) // freq_patches, 1)
    longest = bins + stride * time_patches - 1
    return {
        "n_mels": n_mels,
        "embed_dim": width,
        "depth": depth,
        "num_heads": width // 64,
        "mlp_dim": tensors["blocks.0.mlp.0.bias"].numel(),
        "max_frames": longest // 8 * 8,
        "patch_size": bins,
        "stride": stride,
        "norm_eps": 1e-6,
        "head_eps": 1e-5,
    }
