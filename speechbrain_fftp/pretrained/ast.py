"""Loads published checkpoints of the Audio Spectrogram Transformer.

Two forms: the original's ``.pth`` (https://github.com/YuanGongND/ast) and
Hugging Face folders with config.json and model.safetensors.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.nnet.patching import FFTPEmbedding, SquarePatchEmbedding
from speechbrain_fftp.pretrained.tensors import (
    PATCHES,
    count_blocks,
    for_loader,
    load_renamed,
    read_config,
    read_tensors,
)

# Tensor names here and in the file, see _rename_tensors.
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

# The two ImageNet classifiers, which the original saves but never runs.
ORIGINAL_UNUSED = ("v.head.weight", "v.head.bias")
ORIGINAL_UNUSED += ("v.head_dist.weight", "v.head_dist.bias")

ROOT = "audio_spectrogram_transformer."
EMBEDDINGS = ROOT + "embeddings."
LAYER = ROOT + "encoder.layer.#."
HUGGING_FACE = {
    "tokens": [EMBEDDINGS + "cls_token", EMBEDDINGS + "distillation_token"],
    "positions": [EMBEDDINGS + "position_embeddings"],
    "embedding.proj.*": [EMBEDDINGS + "patch_embeddings.projection.*"],
    "blocks.#.norm1.*": [LAYER + "layernorm_before.*"],
    "blocks.#.qkv.*": [
        f"{LAYER}attention.attention.{x}.*" for x in ("query", "key", "value")
    ],
    "blocks.#.proj.*": [LAYER + "attention.output.dense.*"],
    "blocks.#.norm2.*": [LAYER + "layernorm_after.*"],
    "blocks.#.mlp.0.*": [LAYER + "intermediate.dense.*"],
    "blocks.#.mlp.3.*": [LAYER + "output.dense.*"],
    "norm.*": [ROOT + "layernorm.*"],
    "classifier.0.*": ["classifier.layernorm.*"],
    "classifier.1.*": ["classifier.dense.*"],
}

# Values of config.json that AST does not support otherwise.
CONFIG_FIXED = {
    "model_type": ("audio-spectrogram-transformer",),
    "hidden_act": ("gelu",),
    "qkv_bias": (True,),
}
# Sizes here and in config.json.
CONFIG_SIZES = {
    "n_mels": "num_mel_bins",
    "embed_dim": "hidden_size",
    "depth": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "max_frames": "max_length",
    "mlp_dim": "intermediate_size",
    "patch_size": "patch_size",
    "stride": "time_stride",
    "norm_eps": "layer_norm_eps",
}


def load_ast(source, state=None):
    """Loads a published AST: a Hugging Face folder or an original ``.pth``.

    Returns encoder and classifier, in float32, on the CPU and in eval mode. A
    FileNotFoundError or a ValueError names a file that is missing, damaged or
    not of an AST that ``AST`` supports. ``state`` holds the tensors of a file
    if they were read.

    An original file does not contain all sizes. Heads are assumed to have 64
    channels and strides to be 10 bins and frames, as in the published files. Of
    the ten clip lengths with its number of patches, the multiple of 8 is used:
    the 1024, 512 or 128 frames of the published training settings.
    """
    path = Path(source)
    if not path.is_dir():
        state = for_loader("load_ast", path, state)
        state = {k: v for k, v in state.items() if k not in ORIGINAL_UNUSED}
        depth = max(1, count_blocks(state, "v.blocks."))
        return load_renamed(path, state, ORIGINAL, depth, "an AST", _original)
    config_file = path / "config.json"
    config, sizes = read_config(config_file, CONFIG_FIXED, CONFIG_SIZES)
    if config.get("frequency_stride") != sizes["stride"]:
        raise ValueError(
            f"{config_file}: frequency_stride="
            f"{config.get('frequency_stride')!r} and time_stride="
            f"{sizes['stride']} must be equal."
        )
    depth, eps = sizes["depth"], sizes["norm_eps"]
    path = path / "model.safetensors"
    state, build = read_tensors(path), lambda x: build_model(x, **sizes)
    return load_renamed(path, state, HUGGING_FACE, depth, "an AST", build, eps)


def build_model(tensors, mlp_dim, patch_size, stride, **sizes):
    """An AST of these sizes; what ``hf_export`` padded has its own frames."""
    n_mels, width = sizes["n_mels"], sizes["embed_dim"]
    embedding = SquarePatchEmbedding(n_mels, width, patch_size, stride)
    kernel, frames = tensors[PATCHES], patch_size
    if frames == n_mels == kernel.shape[-1]:
        while frames > 1 and not kernel[..., frames - 1].any():
            frames -= 1
        tensors[PATCHES] = kernel[..., :frames].contiguous()
        sizes["max_frames"] -= patch_size - frames
        embedding = FFTPEmbedding(n_mels, width, frames, stride)
    return AST(embedding=embedding, mlp_ratio=mlp_dim / width, **sizes)


def _original(tensors):
    """The original AST with these tensors, renamed."""
    width, _, bins, frames = tensors["embedding.proj.weight"].shape
    _, rows, _ = tensors["positions"].shape
    n_mels, stride = 128, 10
    if bins != frames or not 0 < bins <= n_mels:
        raise ValueError(
            f"Patches of {bins} bins by {frames} frames are not square patches "
            f"of a spectrogram with {n_mels} bins."
        )
    if not width or width % 64:
        raise ValueError(
            f"The width {width} is not a multiple of 64, the channels of a "
            "head in every published AST: the number of heads is unknown."
        )
    freq_patches = (n_mels - bins) // stride + 1
    time_patches = max((rows - 2) // freq_patches, 1)
    return build_model(
        tensors,
        n_mels=n_mels,
        embed_dim=width,
        depth=count_blocks(tensors, "blocks."),
        num_heads=width // 64,
        max_frames=(bins + stride * time_patches - 1) // 8 * 8,
        mlp_dim=tensors["blocks.0.mlp.0.bias"].numel(),
        patch_size=bins,
        stride=stride,
        norm_eps=1e-6,
    )
