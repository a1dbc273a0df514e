"""Checkpoints of vision transformers, from which an AST can start.

ViT (https://arxiv.org/abs/2010.11929) and DeiT
(https://arxiv.org/abs/2012.12877), in the forms of transformers and timm. As in
AST (https://arxiv.org/abs/2104.01778), the weights of the three colours are
summed.

Authors
 * The speechbrain_fftp authors 2026
"""

import math

import torch

from speechbrain_fftp.lobes.models.AST import AST, CLASS_TOKENS
from speechbrain_fftp.nnet.patching import SquarePatchEmbedding
from speechbrain_fftp.pretrained.ast import (
    HUGGING_FACE,
    ORIGINAL,
    join_attention,
)
from speechbrain_fftp.pretrained.weights import (
    PATCHES,
    POSITIONS,
    check_setting,
    count_blocks,
    count_heads,
    load_weights,
    rename,
    transformer_sizes,
)

# Replacements in the names of tensors, of transformers and of timm
PATTERNS = {r"^(vit|deit)\.": "", **HUGGING_FACE, **ORIGINAL}
# Classifiers of images, and the layer before them
UNUSED = (
    "classifier.",
    "cls_classifier.",
    "distillation_classifier.",
    "head.",
    "head_dist.",
    "pooler.",
)


def build(tensors, config):
    """Encoder of spectrograms as large as the images, without a classifier.

    A ViT's class token becomes both of AST's.
    """
    check_setting(config, "hidden_act", "gelu", None)  # None: not written
    tensors = {
        name: tensor
        for name, tensor in rename(tensors, PATTERNS).items()
        if not name.startswith(UNUSED)
    }
    if "blocks.0.query.weight" in tensors:  # of transformers
        join_attention(tensors, count_blocks(tensors))
    # [D, 3, bins, frames] -> [D, 1, bins, frames]
    tensors[PATCHES] = tensors[PATCHES].sum(1, keepdim=True)
    width, _, size, _ = tensors[PATCHES].shape
    tokens = [
        tensors.pop(name)
        for name in ("cls_token", "dist_token")
        if name in tensors
    ]
    # Positions [1, tokens + F' * T', D], starting with the class tokens
    positions = tensors.pop("positions").squeeze(0)
    cls_tokens = torch.cat(tokens).squeeze(1) + positions[: len(tokens)]
    tensors["cls_tokens"] = cls_tokens.repeat(CLASS_TOKENS // len(tokens), 1)
    positions = positions[len(tokens) :]
    pixels = size * math.isqrt(len(positions))
    encoder = AST(
        n_mels=pixels,
        num_heads=config.get("num_attention_heads", count_heads(width)),
        embedding=SquarePatchEmbedding(pixels, width, size, stride=size),
        max_frames=pixels,
        norm_eps=config.get("layer_norm_eps", 1e-6),
        **transformer_sizes(tensors),
    )
    tensors[POSITIONS] = positions.view_as(encoder.position.table)
    return load_weights(encoder, torch.nn.Identity(), tensors)
