"""Published checkpoint of ATST-Frame, fine-tuned on AudioSet-Strong.

``ATST-F_strong_1.pt`` of https://github.com/fschmid56/PretrainedSED, which
classifies 447 sounds every 40 ms. Their names are those of AudioSet's classes
(https://research.google.com/audioset) with temporally strong labels.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
from pathlib import Path

from speechbrain_fftp.lobes.features import DatasetNormalization
from speechbrain_fftp.lobes.frame_classifier import FrameClassifier, MaxPooling
from speechbrain_fftp.lobes.models.ATST import ATST
from speechbrain_fftp.pretrained.front_end import FrontEnd
from speechbrain_fftp.pretrained.mel_decibels import MelDecibels
from speechbrain_fftp.pretrained.renaming import (
    BLOCKS,
    PATCHES,
    POSITIONS,
    build,
    count_blocks,
    count_heads,
)
from speechbrain_fftp.pretrained.tensors import read_text

# What is replaced in the names of tensors
PATTERNS = {
    r"^model\.atst\.": "",
    r"^patch_embed\.patch_embed\.": "embedding.proj.",
    r"^pos_embed$": "positions",
    r"^norm_frame\.": "norm.",
    **BLOCKS,
    r"^strong_head\.": "classifier.layers.0.",
}
# Of training, of whole clips (untrained), and what follows from the front end
UNUSED = (
    "mask_embed",
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
# Its authors find events after a median filter of 9 tokens.
MEAN_SECONDS = 0.36


def build_from_file(checkpoint):
    """Encoder and classifier of a file.

    Heads are assumed to have 64 channels, as in the published one. A clip's
    probability is the highest of its time steps.
    """
    return build(checkpoint, PATTERNS, _infer_encoder, _make_classifier)


def _infer_encoder(tensors):
    """The encoder that these tensors, renamed, are of."""
    for name in UNUSED:
        tensors.pop(name, None)
    # [D, F * T] -> [D, 1, F, T]
    patches = tensors[PATCHES].unflatten(1, (1, N_MELS, PATCH_FRAMES))
    tensors[PATCHES] = patches
    width = len(patches)
    # Row 0 belongs to a class token that does not exist.
    tensors[POSITIONS] = tensors.pop("positions")[:, 1:].contiguous()
    depth = count_blocks(tensors)
    for number in range(depth):
        # Queries, keys and values have no bias.
        weight = tensors[f"blocks.{number}.qkv.weight"]
        tensors[f"blocks.{number}.qkv.bias"] = weight.new_zeros(len(weight))
    return ATST(
        n_mels=N_MELS,
        embed_dim=width,
        depth=depth,
        num_heads=count_heads(width),
        # Up to three more frames than those of its tokens
        max_frames=PATCH_FRAMES * (tensors[POSITIONS].shape[1] + 1) - 1,
        mlp_ratio=len(tensors["blocks.0.mlp.0.bias"]) / width,
    )


def _make_classifier(tensors, width):
    """The head of time steps."""
    n_classes = len(tensors["classifier.layers.0.weight"])
    return FrameClassifier(
        embed_dim=width,
        n_classes=n_classes,
        pooling=MaxPooling(),
        mean_seconds=MEAN_SECONDS,
        has_norm=False,
    )


def front_end(encoder, settings):
    """Features as of the authors' code, which no file states."""
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
    _, *rows = csv.reader(read_text(path).splitlines())
    return [name for _, name in rows]
