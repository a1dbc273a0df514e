"""Published checkpoints of Dasheng, an encoder without classes, in two formats.

Hugging Face folders (https://huggingface.co/mispeech/dasheng-base and its
larger siblings) and the authors' ``.pt``
(https://zenodo.org/records/11511780).

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

from speechbrain_fftp.nnet.patching import FFTPEmbedding
from speechbrain_fftp.pretrained.encoder import ChunkedTransformer
from speechbrain_fftp.pretrained.weights import (
    BLOCKS,
    PATCHES,
    POSITIONS,
    count_heads,
    load_weights,
    rename,
    transformer_sizes,
)

# Replacements in the names of tensors
PATTERNS = {
    r"^encoder\.": "",
    r"^init_bn\.1\.": "bin_norm.",
    r"^patch_embed\.": "embedding.",
    **BLOCKS,
}
# Constants of the front end
UNUSED = ("front_end.0.spectrogram.window", "front_end.0.mel_scale.fb")

# The published model whose heads do not have 64 channels
WIDTH_06B = 1280
HEADS_06B = 16


def build(tensors, config):
    """Encoder of either format, and an identity as the classifier."""
    tensors = rename(tensors, PATTERNS, UNUSED)
    sizes = transformer_sizes(tensors)
    width, _, n_mels, frames = tensors[PATCHES].shape
    num_heads = HEADS_06B if width == WIDTH_06B else count_heads(width)
    if config:
        num_heads = config["encoder_kwargs"]["num_heads"]
    # [1, D, 1, T'] + [1, D, 1, 1] -> [1, T', D]
    positions = tensors.pop("time_pos_embed") + tensors.pop("freq_pos_embed")
    tensors[POSITIONS] = positions.squeeze(2).transpose(1, 2)
    encoder = ChunkedTransformer(
        **sizes,
        n_mels=n_mels,
        num_heads=num_heads,
        embedding=FFTPEmbedding(n_mels, width, frames, frames),
        max_frames=frames * positions.shape[3],
        pooling="mean",
        has_bin_norm=True,
    )
    return load_weights(encoder, torch.nn.Identity(), tensors)
