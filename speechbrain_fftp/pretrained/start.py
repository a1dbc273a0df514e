"""Starts the training of an encoder from the weights of another model.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import torch

from speechbrain.utils.distributed import run_on_main
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.pretrained.families import find_family
from speechbrain_fftp.pretrained.hub import find_model
from speechbrain_fftp.pretrained.renaming import PATCHES, POSITIONS, check_names
from speechbrain_fftp.pretrained.square import is_one_layer, to_full_frequency
from speechbrain_fftp.pretrained.tensors import (
    LOADING_ERRORS,
    read_checkpoint,
    read_json_file,
)

logger = get_logger(__name__)

PUBLISHED_RATE = 16000  # sampling rate of all published models


def start_from(
    encoder: torch.nn.Module,
    source: Path | str | None,
    sample_rate: int | None = None,
) -> list[str]:
    """Initialises an encoder with the weights of another model.

    Width and depth must be the encoder's, and the number of heads and the
    ``sample_rate`` too where the source tells them. Positions of another clip
    length are interpolated. Square patches, such as a published AST's, become
    full-frequency ones, see ``square_to_fftp``. For patches of another shape,
    the encoder keeps its own weights and positions, with a warning.

    Arguments
    ---------
    encoder : torch.nn.Module
    source : str or Path, optional
        A published model, on disk or as ``owner/name[@revision]`` on the hub;
        an inference folder; or an embedding_model.ckpt. None does nothing. The
        main process alone downloads.
    sample_rate : int, optional
        What the encoder will be trained at, in Hz.

    Returns
    -------
    list of str
        Names of the tensors that were loaded.

    Raises
    ------
    FileNotFoundError
        If the source is missing.
    ValueError
        If it is damaged or does not fit; the encoder is unchanged.
    """
    if source is None:
        return []
    run_on_main(find_model, args=[source])
    path = find_model(source)
    state, settings = _read_encoder(path, encoder)
    try:
        _check_equal(
            "num_heads",
            settings["num_heads"],
            getattr(encoder, "num_heads", None),
        )
        _check_equal("sample_rate", settings["sample_rate"], sample_rate)
        state = _full_frequency(state, settings["stride"], encoder.embedding)
        state = _fitting_tensors(state, encoder.state_dict())
    except LOADING_ERRORS as error:
        raise ValueError(f"{path}: {error}") from error
    kept = encoder.load_state_dict(state, strict=False).missing_keys
    logger.info(
        "Loaded %d tensors of the encoder from %s. The classifier is a new "
        "one, and no class of that model is kept.",
        len(state),
        path,
    )
    if kept:
        logger.warning(
            "%s has patches of another shape than the encoder, which keeps its "
            "own initialization of: %s",
            path,
            ", ".join(kept),
        )
    return list(state)


def _read_encoder(path, encoder):
    """Tensors of the encoder at a path, and settings, each None if unknown.

    ``stride`` is that of patches, in frames and bins, or one number for both.
    """
    if (path / "embedding_model.ckpt").is_file():
        path = path / "embedding_model.ckpt"
    checkpoint = read_checkpoint(path)
    if PATCHES in checkpoint.tensors:
        return checkpoint.tensors, _read_settings(path.with_name("config.json"))
    if "embedding_model" in checkpoint.config:
        prefix = "embedding_model."
        state = {
            name.removeprefix(prefix): tensor
            for name, tensor in checkpoint.tensors.items()
            if name.startswith(prefix)
        }
        return state, _read_settings(checkpoint.config_file)
    family = find_family(checkpoint)
    published, _ = family.build(checkpoint)
    if not isinstance(encoder, type(published)):
        raise ValueError(
            f"{path} is of the family {family.name}, but the encoder is "
            f"{type(encoder).__name__}."
        )
    return published.state_dict(), {
        "num_heads": getattr(published, "num_heads", None),
        "sample_rate": PUBLISHED_RATE,
        "stride": published.embedding.stride,
    }


def _read_settings(config_file):
    """What an inference folder's config.json, if any, tells of an encoder."""
    config = read_json_file(config_file) if config_file.is_file() else {}
    arguments = config.get("embedding_model", {})
    return {
        "num_heads": arguments.get("num_heads"),
        "sample_rate": config.get("sample_rate"),
        "stride": arguments.get("embedding", {}).get("stride"),
    }


def _full_frequency(state, stride, embedding):
    """Makes square patches full-frequency ones, if those are of one layer."""
    if isinstance(stride, int):  # of SquarePatchEmbedding
        stride = [stride, stride]
    if stride is None or not is_one_layer(embedding):
        return state
    # The positions tell the number of rows, which depends on the mel bins.
    rows = (embedding.n_mels - state[PATCHES].shape[2]) // stride[1] + 1
    if rows < 2 or POSITIONS not in state or len(state[POSITIONS]) != rows:
        return state
    logger.info("Full-frequency patches start as the means of square ones.")
    return to_full_frequency(state, embedding, stride)


def _check_equal(name, saved, wanted):
    """Raises a ValueError if two sizes that are known differ."""
    if None not in (saved, wanted) and saved != wanted:
        raise ValueError(
            f"The checkpoint has {name}={saved}, the encoder {name}={wanted}: "
            "they must be equal."
        )


def _fitting_tensors(state, expected):
    """A checkpoint's tensors without those of patches of another shape."""
    if state[PATCHES].shape != expected[PATCHES].shape:
        state = _without(state, ("embedding.", "position."))
        expected = _without(expected, ("embedding.", "position."))
    check_names(state, expected, "this encoder")
    for name, tensor in expected.items():
        if name != POSITIONS and state[name].shape != tensor.shape:
            raise ValueError(
                f"{name} is {list(state[name].shape)} in the file, but "
                f"{list(tensor.shape)} in the encoder."
            )
    if POSITIONS in state and len(state[POSITIONS]) != len(expected[POSITIONS]):
        return _without(state, (POSITIONS,))  # another number of rows
    return state


def _without(state, prefixes):
    """Tensors whose names do not begin with one of some prefixes."""
    return {k: x for k, x in state.items() if not k.startswith(prefixes)}
