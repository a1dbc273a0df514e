"""Loads published checkpoints of Audio Mamba.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import torch

from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet.patching import SquarePatchEmbedding
from speechbrain_fftp.utils.pretrained.tensors import (
    _count_blocks,
    _fill_model,
    _rename_tensors,
    read_tensors,
)

# Tensor names here and in the file, see _rename_tensors.
FO_BI = {
    "tokens": ["cls_token"],
    "positions": ["pos_embed.pos_embed"],
    "embedding.proj.*": ["patch_embed.proj.*"],
    "blocks.#.norm.weight": ["layers.#.norm.weight"],
    "blocks.#.mixer.A_log": ["layers.#.mixer.A_log"],
    "blocks.#.mixer.A_b_log": ["layers.#.mixer.A_b_log"],
    "blocks.#.mixer.D": ["layers.#.mixer.D"],
    "blocks.#.mixer.in_proj.weight": ["layers.#.mixer.in_proj.weight"],
    "blocks.#.mixer.conv1d.*": ["layers.#.mixer.conv1d.*"],
    "blocks.#.mixer.x_proj.weight": ["layers.#.mixer.x_proj.weight"],
    "blocks.#.mixer.dt_proj.*": ["layers.#.mixer.dt_proj.*"],
    "blocks.#.mixer.out_proj.weight": ["layers.#.mixer.out_proj.weight"],
    "norm.weight": ["norm_f.weight"],
    "classifier.*": ["head.*"],
}
BI_BI = {
    **FO_BI,
    "blocks.#.mixer.D_b": ["layers.#.mixer.D_b"],
    "blocks.#.mixer.conv1d_b.*": ["layers.#.mixer.conv1d_b.*"],
    "blocks.#.mixer.x_proj_b.weight": ["layers.#.mixer.x_proj_b.weight"],
    "blocks.#.mixer.dt_proj_b.*": ["layers.#.mixer.dt_proj_b.*"],
}


def load_aum(source):
    """Loads a published Audio Mamba.

    All sizes are inferred from the tensors, assuming 128 mel bins and patches
    that do not overlap, as in all published files.

    Arguments
    ---------
    source : str
        The authors' ``.pth`` file, Fo-Bi or Bi-Bi.

    Returns
    -------
    encoder : speechbrain_fftp.lobes.models.AuM.AuM
        The encoder: float32, on the CPU, in eval mode.
    classifier : torch.nn.Linear
        Its classifier, likewise.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If it cannot be read or is not an Audio Mamba of these forms. The
        message names the file.

    Example
    -------
    >>> load_aum("aum-base_audioset.pth")
    Traceback (most recent call last):
    FileNotFoundError: There is no file aum-base_audioset.pth.
    """
    path = Path(source)
    state = read_tensors(path, "load_aum")
    depth = max(1, _count_blocks(state, "layers."))
    table, form = FO_BI, "fo-bi"
    if "layers.0.mixer.conv1d_b.weight" in state:
        table, form = BI_BI, "bi-bi"
    try:
        what = f"a {form} Audio Mamba of depth {depth}"
        tensors = _rename_tensors(state, table, depth, what)
        width, _, bins, _ = tensors["embedding.proj.weight"].shape
        _, rows, _ = tensors["positions"].shape
        inner, d_state = tensors["blocks.0.mixer.A_log"].shape
        classes = tensors["classifier.bias"].numel()
        with torch.device("meta"):
            embedding = SquarePatchEmbedding(128, width, bins, bins)
            columns = max((rows - 1) // embedding.freq_patches, 1)
            encoder = AuM(
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
            classifier = torch.nn.Linear(width, classes)
        return _fill_model(encoder, classifier, tensors)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
