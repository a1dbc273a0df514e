"""Starts the training of an encoder from the weights of another model.

Authors
 * The speechbrain_fftp authors 2026
"""

import math
import textwrap
from pathlib import Path

import torch
from ruamel.yaml import YAML

from fftp_tag.errors import InputError
from fftp_tag.model.hub import find_checkpoint
from speechbrain.utils.distributed import run_on_main
from speechbrain_fftp.lobes.models.ConvNeXt1d import divide_look_ahead
from speechbrain_fftp.pretrained.families import build_modules, find_family
from speechbrain_fftp.pretrained.square import (
    change_stride,
    interpolate,
    to_full_frequency,
)
from speechbrain_fftp.pretrained.tensors import read_checkpoint, read_tensors
from speechbrain_fftp.pretrained.weights import PATCHES, POSITIONS

KERNELS = "blocks.0.conv.weight"  # of a ConvNeXt1d
PUBLISHED_RATE = 16000  # sampling rate of all published models


def start_from(
    encoder: torch.nn.Module,
    source: Path | str | None,
    sample_rate: int = PUBLISHED_RATE,
) -> str | None:
    """Initialises an encoder with the weights of another model.

    All sizes must be the encoder's, with two exceptions. Positions are fitted:
    a shorter clip has the first ones; those of another stride, of a shorter
    clip or of an image are interpolated. Square patches, such as a published
    AST's, become full-frequency ones, see ``square_to_fftp``. For yaml
    files.

    Arguments
    ---------
    encoder : torch.nn.Module
    source : str or Path, optional
        The inference folder of a recipe or its embedding_model.ckpt; or a
        published model, on disk or as ``owner/name[@revision]`` on the hub.
        None does nothing. The main process alone downloads.
    sample_rate : int
        What the encoder will be trained at, in Hz.

    Returns
    -------
    str or None
        What was loaded, in a sentence for the log, which does not exist yet.

    Raises
    ------
    InputError
        If the source is missing or damaged, or does not fit.
    """
    if source is None:
        return None
    try:
        return _start_from(encoder, source, sample_rate)
    except (InputError, OSError) as error:
        raise InputError(f"--pretrained {source}: {error}") from error


def _start_from(encoder, source, sample_rate):
    """Finds and reads the weights, gives them to the encoder, and says so."""
    run_on_main(find_checkpoint, args=[source])
    path = find_checkpoint(source)
    if (path / "embedding_model.ckpt").is_file():
        path = path / "embedding_model.ckpt"
    new_stride, settings = encoder.embedding.stride_frames, {}
    if path.suffix == ".ckpt":
        state = read_tensors(path)
        settings = _read_settings(path.with_name("hyperparams.yaml"))
        stride = _read_stride(settings) or new_stride
    else:
        state, stride = _read_published(path, encoder, sample_rate)
    if POSITIONS in state:
        state[POSITIONS] = change_stride(state[POSITIONS], stride, new_stride)
    n_rows = len(state.get(POSITIONS, ()))
    report = [
        f"{sum(x.numel() for x in encoder.parameters()) / 1e6:.1f} M weights"
    ]
    if n_rows > 1 and encoder.embedding.freq_patches == 1:
        report.append("full-frequency patches are the means of square ones")
        n_mels, cells = encoder.embedding.n_mels, state[PATCHES].shape[1]
        size = math.isqrt(cells)
        if size**2 != cells:
            raise InputError(f"its patches of {cells} cells are not square")
        # The largest stride with this number of rows, which is that of AST and
        # AuM: 10 or 16 bins for 12 or 8 rows of 16 in 128 bins
        stride_bins = (n_mels - size) // (n_rows - 1)
        if not 0 < stride_bins <= size:
            raise InputError(
                f"its {n_rows} rows of patches of {size} bins do not divide "
                f"n_mels {n_mels}: it was trained with another n_mels"
            )
        state = to_full_frequency(
            state, encoder.embedding, (size, size), stride_bins
        )
    if POSITIONS in state:
        columns, wanted = (
            x.shape[1] for x in (state[POSITIONS], encoder.position.table)
        )
        if columns != wanted:
            report.append(f"positions in time: {wanted} of {columns}")
    try:
        encoder.load_state_dict(state)
    except RuntimeError as error:
        found, sizes = _sizes(state), _sizes(encoder.state_dict())
        differences = [
            f"{key} {found[key]} instead of {size}"
            for key, size in sizes.items()
            if key in found and found[key] != size
        ]
        raise InputError(
            f"its weights do not fit the {type(encoder).__name__} of the yaml: "
            + ("; ".join(differences) or textwrap.shorten(str(error), 300))
        ) from error
    if KERNELS in state and settings:
        report += _move_kernels(encoder, settings.get("look_ahead"))
    return (
        f"The encoder starts from {path}: {'; '.join(report)}. Its classifier "
        "is not used."
    )


def _read_settings(path):
    """The encoder's settings in the yaml of a trained model, if it is there."""
    if not path.is_file():
        return {}
    model = YAML().load(path)["modules"]["embedding_model"]
    # In a model with frame-level predictions, what is saved is the encoder
    return model.get("encoder", model)


def _read_stride(settings):
    """The frames from one patch to the next; None without patches."""
    embedding = settings.get("embedding", {})
    stride = embedding.get("stride_frames", embedding.get("stride"))
    return stride[0] if isinstance(stride, list) else stride


@torch.no_grad()
def _move_kernels(encoder, look_ahead):
    """Moves the kernels of a ConvNeXt1d, which were trained with a look-ahead, by
    default all, to its own: what they no longer reach is dropped.

    Returns what there is to report.
    """
    depth = len(encoder.blocks)
    if look_ahead is None:
        look_ahead = depth * (encoder.blocks[0].conv.kernel_size[0] // 2)
    if look_ahead == encoder.look_ahead:
        return []
    pairs = zip(
        divide_look_ahead(look_ahead, depth),
        divide_look_ahead(encoder.look_ahead, depth),
        strict=True,
    )
    for block, (before, after) in zip(encoder.blocks, pairs, strict=True):
        weight, later = block.conv.weight, before - after
        weight.copy_(torch.nn.functional.pad(weight, (later, -later)))
    return [f"kernels hear {encoder.look_ahead} tokens ahead, not {look_ahead}"]


def _read_published(path, encoder, sample_rate):
    """The tensors of a published encoder, and its stride in frames.

    Checks two sizes that tensors do not tell. The positions of an image are
    interpolated to the encoder's patches; where these are full-frequency, to
    square ones that do not overlap.
    """
    checkpoint = read_checkpoint(path)
    family = find_family(checkpoint)
    if family.write is not None:
        raise InputError(
            f"a model of the family {family.name}, which has features of its own"
        )
    published, _ = build_modules(family, checkpoint)
    if sample_rate != PUBLISHED_RATE and not family.is_image:
        raise InputError(
            f"sample_rate {PUBLISHED_RATE} instead of {sample_rate}"
        )
    num_heads = getattr(published, "num_heads", None)
    wanted = getattr(encoder, "num_heads", None)
    if num_heads != wanted:
        raise InputError(f"num_heads {num_heads} instead of {wanted}")
    state, new = published.state_dict(), encoder.embedding
    if not family.is_image:
        return state, published.embedding.stride_frames
    rows = new.freq_patches
    if rows == 1:
        rows = max(new.n_mels // published.embedding.patch_bins, 1)
    size = (rows, new.time_patches(encoder.max_frames))
    state[POSITIONS] = interpolate(state[POSITIONS], size)
    return state, new.stride_frames


def _sizes(state):
    """The sizes that tensors tell, mostly by their keys in a yaml."""
    blocks = [name.split(".")[1] for name in state if name.startswith("blocks")]
    sizes = {"depth": len(set(blocks))}
    if PATCHES in state:
        sizes["embed_dim"], sizes["frames * bins of patch"] = state[
            PATCHES
        ].shape
    if KERNELS in state:
        sizes["kernel"] = state[KERNELS].shape[2]
    return sizes
