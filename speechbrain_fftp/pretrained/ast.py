"""Published checkpoints of the Audio Spectrogram Transformer, in two forms.

The original's ``.pth`` (https://github.com/YuanGongND/ast) and Hugging Face's
folders with config.json and model.safetensors.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools

import torch

from speechbrain_fftp.lobes.features import DatasetNormalization, KaldiFbank
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.nnet.patching import PatchEmbedding
from speechbrain_fftp.pretrained.front_end import (
    FrontEnd,
    check_number,
    sampling_rate,
)
from speechbrain_fftp.pretrained.renaming import (
    BLOCKS,
    PATCHES,
    POSITIONS,
    build,
    count_blocks,
    count_heads,
    linear_classifier,
    read_sizes,
    split_positions,
)

# What is replaced in the names of tensors
ORIGINAL = {
    r"^v\.": "",
    r"^patch_embed\.": "embedding.",
    r"^pos_embed$": "positions",
    **BLOCKS,
    r"^mlp_head\.": "classifier.",
}
HUGGING_FACE = {
    r"^audio_spectrogram_transformer\.": "",
    r"^embeddings\.patch_embeddings\.projection\.": "embedding.proj.",
    r"^embeddings\.position_embeddings$": "positions",
    r"^embeddings\.distillation_token$": "dist_token",
    r"^embeddings\.cls_token$": "cls_token",
    r"^encoder\.layer\.": "blocks.",
    r"\.layernorm_before\.": ".norm1.",
    r"\.attention\.attention\.": ".",
    r"\.attention\.output\.dense\.": ".proj.",
    r"\.layernorm_after\.": ".norm2.",
    r"\.intermediate\.dense\.": ".mlp.0.",
    r"\.output\.dense\.": ".mlp.3.",
    r"^layernorm\.": "norm.",
    r"^classifier\.layernorm\.": "classifier.0.",
    r"^classifier\.dense\.": "classifier.1.",
}
# The two ImageNet classifiers, which the original saves but never runs
UNUSED = ("head.weight", "head.bias", "head_dist.weight", "head_dist.bias")

# Settings of config.json with the values that are supported
CONFIG_FIXED = {"hidden_act": ("gelu",), "qkv_bias": (True,)}
# Sizes here and in config.json
CONFIG_SIZES = {
    "n_mels": "num_mel_bins",
    "embed_dim": "hidden_size",
    "depth": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "max_frames": "max_length",
    "mlp_dim": "intermediate_size",
    "patch_size": "patch_size",
    "stride_frames": "time_stride",
    "stride_bins": "frequency_stride",
    "norm_eps": "layer_norm_eps",
}


def build_from_folder(checkpoint):
    """Encoder and classifier of a Hugging Face folder.

    ``layer_norm_eps`` is also that of the classifier's norm.
    """
    sizes = read_sizes(checkpoint, CONFIG_SIZES, CONFIG_FIXED)

    def make_encoder(tensors):
        """The encoder of config.json."""
        for number in range(sizes["depth"]):
            for kind in ("weight", "bias"):
                tensors[f"blocks.{number}.qkv.{kind}"] = torch.cat(
                    [
                        tensors.pop(f"blocks.{number}.{part}.{kind}")
                        for part in ("query", "key", "value")
                    ]
                )
        return _make_encoder(tensors, **sizes)

    return build(
        checkpoint,
        HUGGING_FACE,
        make_encoder,
        functools.partial(linear_classifier, eps=sizes["norm_eps"]),
    )


def build_from_file(checkpoint):
    """Encoder and classifier of an original file.

    It does not contain all sizes. Heads are assumed to have 64 channels and
    strides to be 10 bins and frames, as in the published files. Of the ten clip
    lengths with its number of patches, the multiple of 8 is used: the 1024, 512
    or 128 frames of the published training settings.
    """
    return build(checkpoint, ORIGINAL, _infer_encoder)


def _infer_encoder(tensors):
    """The original encoder that these tensors, renamed, are of."""
    for name in UNUSED:
        tensors.pop(name, None)
    width, _, patch_size, _ = tensors[PATCHES].shape
    _, n_positions, _ = tensors["positions"].shape
    n_mels = 128
    stride = 10
    rows = max((n_mels - patch_size) // stride + 1, 1)
    columns = max((n_positions - 2) // rows, 1)
    return _make_encoder(
        tensors,
        n_mels=n_mels,
        embed_dim=width,
        depth=count_blocks(tensors),
        num_heads=count_heads(width),
        max_frames=(patch_size + stride * columns - 1) // 8 * 8,
        mlp_dim=len(tensors["blocks.0.mlp.0.bias"]),
        patch_size=patch_size,
        stride_frames=stride,
        stride_bins=stride,
        norm_eps=1e-6,
    )


def _make_encoder(
    tensors,
    n_mels,
    embed_dim,
    patch_size,
    stride_frames,
    stride_bins,
    mlp_dim,
    **sizes,
):
    """An AST of these sizes, which its tensors are arranged for."""
    embedding = PatchEmbedding(
        n_mels,
        embed_dim,
        patch=[patch_size, patch_size],
        stride=[stride_frames, stride_bins],
    )
    encoder = AST(
        n_mels=n_mels,
        embed_dim=embed_dim,
        embedding=embedding,
        mlp_ratio=mlp_dim / embed_dim,
        **sizes,
    )
    tokens = [tensors.pop("cls_token"), tensors.pop("dist_token")]
    tensors["cls_tokens"], tensors[POSITIONS] = split_positions(
        torch.cat(tokens), tensors.pop("positions"), encoder.position.table
    )
    return encoder


def folder_front_end(encoder, settings):
    """Features as of transformers' ASTFeatureExtractor."""
    n_mels = settings.get("num_mel_bins")
    frames = settings.get("max_length")
    if (n_mels, frames) != (encoder.n_mels, encoder.max_frames):
        raise ValueError(
            f"num_mel_bins={n_mels} and max_length={frames} are not those of "
            f"the model, {encoder.n_mels} and {encoder.max_frames}."
        )
    mean, std = 0.0, 0.5  # (x - 0) / (2 * 0.5)
    if settings.get("do_normalize", True):
        mean = check_number(settings, "mean", -1e6, 1e6)
        std = check_number(settings, "std", 1e-6, 1e6)
    return FrontEnd(
        KaldiFbank(sampling_rate(settings), n_mels),
        DatasetNormalization(mean, std),
        encoder.max_frames,
    )
