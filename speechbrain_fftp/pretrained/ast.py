"""Published checkpoints of the Audio Spectrogram Transformer, in two formats.

The authors' ``.pth`` (https://github.com/YuanGongND/ast) and Hugging Face
folders with config.json and model.safetensors.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

from fftp_tag.errors import InputError
from fftp_tag.files import read_json
from speechbrain_fftp.lobes.features import DatasetNormalization, KaldiFbank
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.nnet.patching import PatchEmbedding
from speechbrain_fftp.pretrained.tensors import LOADING_ERRORS
from speechbrain_fftp.pretrained.weights import (
    BLOCKS,
    PATCHES,
    POSITIONS,
    check_setting,
    count_heads,
    load_weights,
    norm_and_linear,
    rename,
    transformer_sizes,
)

# Replacements in the names of tensors
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
UNUSED = (
    "v.head.weight",
    "v.head.bias",
    "v.head_dist.weight",
    "v.head_dist.bias",
)


def build(tensors, config):
    """Encoder and classifier; the authors' files have no config."""
    if config:
        return _build_hugging_face(tensors, config)
    return _build_original(rename(tensors, ORIGINAL, UNUSED))


def _build_hugging_face(tensors, config):
    """Encoder and classifier of a Hugging Face folder."""
    check_setting(config, "hidden_act", "gelu")
    tensors = rename(tensors, HUGGING_FACE)
    join_attention(tensors, config["num_hidden_layers"])
    return _load(
        tensors,
        n_mels=config["num_mel_bins"],
        num_heads=config["num_attention_heads"],
        max_frames=config["max_length"],
        stride=(config["time_stride"], config["frequency_stride"]),
        norm_eps=config["layer_norm_eps"],
        classifier_eps=config["layer_norm_eps"],
    )


def join_attention(tensors, depth):
    """Joins the layers of queries, keys and values in each block, in place."""
    for number in range(depth):
        block = f"blocks.{number}"
        for kind in ("weight", "bias"):
            parts = [
                tensors.pop(f"{block}.{part}.{kind}")
                for part in ("query", "key", "value")
            ]
            tensors[f"{block}.qkv.{kind}"] = torch.cat(parts)


def _build_original(tensors):
    """Encoder and classifier of an authors' file, which lacks some sizes.

    Heads are assumed to have 64 channels and strides to be 10 bins and frames,
    as in the published files. Ten clip lengths give the same number of patches;
    the multiple of 8 is used, as in the published training settings (1024, 512
    or 128 frames).
    """
    n_mels = 128
    stride = 10
    width, _, patch_size, _ = tensors[PATCHES].shape
    rows = (n_mels - patch_size) // stride + 1
    columns = (tensors["positions"].shape[1] - 2) // rows
    return _load(
        tensors,
        n_mels=n_mels,
        num_heads=count_heads(width),
        max_frames=(patch_size + stride * columns - 1) // 8 * 8,
        stride=(stride, stride),
        norm_eps=1e-6,
        classifier_eps=1e-5,
    )


def _load(
    tensors, n_mels, num_heads, max_frames, stride, norm_eps, classifier_eps
):
    """Encoder and classifier of renamed tensors."""
    width, _, bins, frames = tensors[PATCHES].shape
    encoder = AST(
        n_mels=n_mels,
        num_heads=num_heads,
        embedding=PatchEmbedding(n_mels, width, (frames, bins), stride),
        max_frames=max_frames,
        norm_eps=norm_eps,
        **transformer_sizes(tensors),
    )
    # Positions [1, 2 + F' * T', D], starting with the class tokens
    positions = tensors.pop("positions").squeeze(0)
    tokens = [tensors.pop("cls_token"), tensors.pop("dist_token")]
    tensors["cls_tokens"] = torch.cat(tokens).squeeze(1) + positions[:2]
    tensors[POSITIONS] = positions[2:].view_as(encoder.position.table)
    classifier = norm_and_linear(tensors, width, classifier_eps)
    return load_weights(encoder, classifier, tensors)


def front_end(checkpoint):
    """Features and their normalisation, as in transformers' ASTFeatureExtractor.

    Files without settings have the statistics of AudioSet; so have those of
    Audio Mamba.
    """
    if not checkpoint.path.is_dir():
        return KaldiFbank(), DatasetNormalization()
    path = checkpoint.path / "preprocessor_config.json"
    settings = read_json(path)
    try:
        check_setting(settings, "do_normalize", True, None)  # None: not written
        return (
            KaldiFbank(settings["sampling_rate"], settings["num_mel_bins"]),
            DatasetNormalization(settings["mean"], settings["std"]),
        )
    except LOADING_ERRORS as error:
        raise InputError(
            f"{path} cannot be used. {type(error).__name__}: {error}"
        ) from error
