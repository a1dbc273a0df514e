"""Published checkpoints of Audio Mamba: its authors' ``.pth``.

https://github.com/kaistmm/Audio-Mamba-AuM

Authors
 * The speechbrain_fftp authors 2026
"""

from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet.patching import SquarePatchEmbedding
from speechbrain_fftp.pretrained.renaming import (
    PATCHES,
    build,
    count_blocks,
    split_positions,
)

# Names within a block, which are the same here and in the file
BLOCK = (
    "norm.weight",
    "mixer.A_log",
    "mixer.A_b_log",
    "mixer.D",
    "mixer.in_proj.weight",
    "mixer.conv1d.*",
    "mixer.x_proj.weight",
    "mixer.dt_proj.*",
    "mixer.out_proj.weight",
)
BACKWARD = (
    "mixer.D_b",
    "mixer.conv1d_b.*",
    "mixer.x_proj_b.weight",
    "mixer.dt_proj_b.*",
)

# Tensor names here and in the file, see rename_tensors
FO_BI = {
    "tokens": ["cls_token"],
    "positions": ["pos_embed.pos_embed"],
    "embedding.proj.*": ["patch_embed.proj.*"],
    **{f"blocks.#.{name}": [f"layers.#.{name}"] for name in BLOCK},
    "norm.weight": ["norm_f.weight"],
    "classifier.*": ["head.*"],
}
BI_BI = {
    **FO_BI,
    **{f"blocks.#.{name}": [f"layers.#.{name}"] for name in BACKWARD},
}


def build_from_file(checkpoint):
    """Encoder and classifier of a file, Fo-Bi or Bi-Bi.

    All sizes are inferred from the tensors, assuming 128 mel bins and patches
    that do not overlap, as in all published files.
    """
    form, table = "fo-bi", FO_BI
    if any(".conv1d_b." in name for name in checkpoint.tensors):
        form, table = "bi-bi", BI_BI
    depth = max(1, count_blocks(checkpoint.tensors, "layers."))
    return build(
        checkpoint,
        table=table,
        depth=depth,
        model=f"a {form} Audio Mamba",
        make_encoder=lambda tensors: _infer_encoder(tensors, form, depth),
    )


def _infer_encoder(tensors, form, depth):
    """The encoder that these tensors, renamed, are of."""
    n_mels = 128
    width, _, bins, _ = tensors[PATCHES].shape
    _, n_positions, _ = tensors["positions"].shape
    inner, d_state = tensors["blocks.0.mixer.A_log"].shape
    embedding = SquarePatchEmbedding(n_mels, width, bins, stride=bins)
    columns = max((n_positions - 1) // embedding.freq_patches, 1)
    encoder = AuM(
        n_mels=n_mels,
        embed_dim=width,
        depth=depth,
        bidirectional=form,
        embedding=embedding,
        max_frames=columns * bins,
        d_state=d_state,
        d_conv=tensors["blocks.0.mixer.conv1d.weight"].shape[-1],
        expand=inner // width,
        dt_rank=tensors["blocks.0.mixer.dt_proj.weight"].shape[-1],
    )
    split_positions(tensors, encoder, "cls_token")
    return encoder
