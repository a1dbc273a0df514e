"""Published checkpoints of Audio Mamba: its authors' ``.pth``.

https://github.com/kaistmm/Audio-Mamba-AuM

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet.patching import SquarePatchEmbedding
from speechbrain_fftp.pretrained.weights import (
    PATCHES,
    POSITIONS,
    count_blocks,
    load_weights,
    rename,
)

# Replacements in the names of tensors
PATTERNS = {
    r"^patch_embed\.": "embedding.",
    r"^pos_embed\.pos_embed$": "positions",
    r"^layers\.": "blocks.",
    r"^norm_f\.": "norm.",
    r"^head\.": "classifier.",
}
N_MELS = 128


def build(tensors, config):
    """Encoder and classifier of a file, Fo-Bi or Bi-Bi.

    All sizes are inferred from the tensors, assuming patches that do not
    overlap, as in all published files.
    """
    tensors = rename(tensors, PATTERNS)
    is_bi_bi = "blocks.0.mixer.conv1d_b.weight" in tensors
    width, _, bins, _ = tensors[PATCHES].shape
    inner, d_state = tensors["blocks.0.mixer.A_log"].shape
    # Positions [1, 1 + F' * T', D], starting with the class token
    positions = tensors.pop("positions").squeeze(0)
    columns = (len(positions) - 1) // (N_MELS // bins)
    encoder = AuM(
        n_mels=N_MELS,
        embed_dim=width,
        depth=count_blocks(tensors),
        bidirectional="bi-bi" if is_bi_bi else "fo-bi",
        embedding=SquarePatchEmbedding(N_MELS, width, bins, stride=bins),
        max_frames=columns * bins,
        d_state=d_state,
        d_conv=tensors["blocks.0.mixer.conv1d.weight"].shape[2],
        expand=inner // width,
    )
    tensors["cls_token"] = tensors["cls_token"].flatten() + positions[0]
    tensors[POSITIONS] = positions[1:].view_as(encoder.position.table)
    classifier = torch.nn.Linear(width, len(tensors["classifier.bias"]))
    return load_weights(encoder, classifier, tensors)
