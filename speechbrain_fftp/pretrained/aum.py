"""Published checkpoints of Audio Mamba: its authors' ``.pth``.

https://github.com/kaistmm/Audio-Mamba-AuM

Authors
 * The speechbrain_fftp authors 2026
"""

from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet.patching import SquarePatchEmbedding
from speechbrain_fftp.pretrained.renaming import (
    PATCHES,
    POSITIONS,
    build,
    count_blocks,
    split_positions,
)

# What is replaced in the names of tensors
PATTERNS = {
    r"^patch_embed\.": "embedding.",
    r"^pos_embed\.pos_embed$": "positions",
    r"^layers\.": "blocks.",
    r"^norm_f\.": "norm.",
    r"^head\.": "classifier.",
}


def build_from_file(checkpoint):
    """Encoder and classifier of a file, Fo-Bi or Bi-Bi.

    All sizes are inferred from the tensors, assuming 128 mel bins and patches
    that do not overlap, as in all published files.
    """
    return build(checkpoint, PATTERNS, _infer_encoder)


def _infer_encoder(tensors):
    """The encoder that these tensors, renamed, are of."""
    is_bi_bi = any(".conv1d_b." in name for name in tensors)
    n_mels = 128
    width, _, bins, _ = tensors[PATCHES].shape
    _, n_positions, _ = tensors["positions"].shape
    inner, d_state = tensors["blocks.0.mixer.A_log"].shape
    embedding = SquarePatchEmbedding(n_mels, width, bins, stride=bins)
    columns = max((n_positions - 1) // embedding.freq_patches, 1)
    encoder = AuM(
        n_mels=n_mels,
        embed_dim=width,
        depth=count_blocks(tensors),
        bidirectional="bi-bi" if is_bi_bi else "fo-bi",
        embedding=embedding,
        max_frames=columns * bins,
        d_state=d_state,
        d_conv=tensors["blocks.0.mixer.conv1d.weight"].shape[-1],
        expand=inner // width,
    )
    token, tensors[POSITIONS] = split_positions(
        tensors["cls_token"], tensors.pop("positions"), encoder.position.table
    )
    tensors["cls_token"] = token.view_as(encoder.cls_token)
    return encoder
