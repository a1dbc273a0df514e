"""Loads published checkpoints of Audio Mamba.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet.patching import SquarePatchEmbedding
from speechbrain_fftp.pretrained.tensors import (
    count_blocks,
    for_loader,
    load_renamed,
)

# Tensor names here and in the file, see _rename_tensors.
SAME = ("norm.weight", "mixer.A_log", "mixer.A_b_log", "mixer.D")
SAME += ("mixer.in_proj.weight", "mixer.conv1d.*", "mixer.x_proj.weight")
SAME += ("mixer.dt_proj.*", "mixer.out_proj.weight")
BACKWARD = ("mixer.D_b", "mixer.conv1d_b.*", "mixer.x_proj_b.weight")
BACKWARD += ("mixer.dt_proj_b.*",)
FO_BI = {
    "tokens": ["cls_token"],
    "positions": ["pos_embed.pos_embed"],
    "embedding.proj.*": ["patch_embed.proj.*"],
    **{f"blocks.#.{name}": [f"layers.#.{name}"] for name in SAME},
    "norm.weight": ["norm_f.weight"],
    "classifier.*": ["head.*"],
}
BI_BI = {f"blocks.#.{name}": [f"layers.#.{name}"] for name in BACKWARD}
BI_BI.update(FO_BI)


def load_aum(source, state=None):
    """Loads a published Audio Mamba: its authors' ``.pth``, Fo-Bi or Bi-Bi.

    Returns encoder and classifier, in float32, on the CPU and in eval mode. All
    sizes are inferred from the tensors, assuming 128 mel bins and patches that
    do not overlap, as in all published files. A FileNotFoundError or a
    ValueError names a file that is missing, damaged or not an Audio Mamba of
    these forms. ``state`` holds its tensors if they were read.
    """
    path = Path(source)
    state = for_loader("load_aum", path, state)
    depth = max(1, count_blocks(state, "layers."))
    table, form = FO_BI, "fo-bi"
    if "layers.0.mixer.conv1d_b.weight" in state:
        table, form = BI_BI, "bi-bi"

    def build(tensors):
        """The encoder that fits the tensors."""
        width, _, bins, _ = tensors["embedding.proj.weight"].shape
        _, rows, _ = tensors["positions"].shape
        inner, d_state = tensors["blocks.0.mixer.A_log"].shape
        embedding = SquarePatchEmbedding(128, width, bins, bins)
        columns = max((rows - 1) // embedding.freq_patches, 1)
        return AuM(
            n_mels=128,
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

    kind = f"a {form} Audio Mamba"
    return load_renamed(path, state, table, depth, kind, build)
