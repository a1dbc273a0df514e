"""Published checkpoint of ATST-Frame, fine-tuned on AudioSet-Strong.

``ATST-F_strong_1.pt`` of https://github.com/fschmid56/PretrainedSED, which
classifies 447 sounds every 40 ms: AudioSet's classes with temporally strong
labels (https://research.google.com/audioset).

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
from pathlib import Path

from speechbrain_fftp.lobes.features import DatasetNormalization
from speechbrain_fftp.lobes.frame_classifier import FrameClassifier, MaxPooling
from speechbrain_fftp.nnet.patching import FFTPEmbedding
from speechbrain_fftp.pretrained.encoder import ChunkedTransformer
from speechbrain_fftp.pretrained.mel_decibels import MelDecibels
from speechbrain_fftp.pretrained.weights import (
    BLOCKS,
    PATCHES,
    POSITIONS,
    FrontEnd,
    count_heads,
    load_weights,
    rename,
    transformer_sizes,
)

# Replacements in the names of tensors
PATTERNS = {
    r"^model\.atst\.": "",
    r"^patch_embed\.patch_embed\.": "embedding.proj.",
    r"^pos_embed$": "positions",
    r"^norm_frame\.": "norm.",
    **BLOCKS,
    r"^strong_head\.": "classifier.layers.0.",
}
# For training, for clips (untrained), and constants of the front end
UNUSED = (
    "model.atst.mask_embed",
    "weak_head.weight",
    "weak_head.bias",
    "model.atst_mel.mel_transform.spectrogram.window",
    "model.atst_mel.mel_transform.mel_scale.fb",
)

N_MELS = 64
PATCH_FRAMES = 4
# Range of the features in decibels, which is scaled to -1..1
LOW = -79.6482
HIGH = 50.6842


def build(tensors, config):
    """Encoder and classifier of a file.

    Heads are assumed to have 64 channels, as in the published file. A clip's
    probability is the maximum over its time patches.
    """
    tensors = rename(tensors, PATTERNS, UNUSED)
    sizes = transformer_sizes(tensors)
    width = sizes["embed_dim"]
    # [D, F * T] -> [D, 1, F, T]
    patches = tensors[PATCHES].unflatten(1, (1, N_MELS, PATCH_FRAMES))
    tensors[PATCHES] = patches
    # Row 0 belongs to a class token that does not exist.
    tensors[POSITIONS] = tensors.pop("positions")[:, 1:].contiguous()
    n_time_patches = tensors[POSITIONS].shape[1]
    for number in range(sizes["depth"]):
        # Queries, keys and values have no bias.
        tensors[f"blocks.{number}.qkv.bias"] = patches.new_zeros(3 * width)
    encoder = ChunkedTransformer(
        n_mels=N_MELS,
        num_heads=count_heads(width),
        embedding=FFTPEmbedding(N_MELS, width, PATCH_FRAMES, PATCH_FRAMES),
        # Up to three frames more than its tokens cover
        max_frames=PATCH_FRAMES * (n_time_patches + 1) - 1,
        **sizes,
    )
    classifier = FrameClassifier(
        embed_dim=width,
        n_classes=len(tensors["classifier.layers.0.bias"]),
        pooling=MaxPooling(),
        has_norm=False,
    )
    return load_weights(encoder, classifier, tensors)


def front_end(encoder, settings):
    """Features as in the authors' code; the checkpoint has no settings."""
    decibels = MelDecibels(
        n_mels=N_MELS,
        n_fft=1024,
        f_min=60.0,
        f_max=7800.0,
        top_db=80.0,
        low=-50.0,
        high=80.0,
    )
    # (x - LOW) / (HIGH - LOW) * 2 - 1
    scale = DatasetNormalization(mean=(LOW + HIGH) / 2, std=(HIGH - LOW) / 4)
    return FrontEnd(decibels, scale, encoder.max_frames)


def strong_classes():
    """Names of the 447 classes of AudioSet-Strong, in the file's order."""
    path = Path(__file__).with_name("audioset_strong.csv")
    _, *rows = csv.reader(path.read_text("utf-8-sig").splitlines())
    return [name for _, name in rows]
