"""Starts the training of an encoder from the weights of another model.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import torch

from speechbrain.utils.distributed import run_on_main
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.pretrained.families import load_published
from speechbrain_fftp.pretrained.hub import find_model
from speechbrain_fftp.pretrained.square import to_full_frequency
from speechbrain_fftp.pretrained.tensors import read_tensors
from speechbrain_fftp.pretrained.weights import PATCHES, POSITIONS

logger = get_logger(__name__)

PUBLISHED_RATE = 16000  # sampling rate of all published models


def start_from(
    encoder: torch.nn.Module,
    source: Path | str | None,
    sample_rate: int = PUBLISHED_RATE,
) -> None:
    """Initialises an encoder with the weights of another model.

    All sizes must be the encoder's, but positions of another clip length are
    interpolated, and square patches, such as a published AST's, become
    full-frequency ones, see ``square_to_fftp``.

    Arguments
    ---------
    encoder : torch.nn.Module
    source : str or Path, optional
        The inference folder of a recipe, or its embedding_model.ckpt; or a
        published model, on disk or as ``owner/name[@revision]`` on the hub.
        None does nothing. The main process alone downloads.
    sample_rate : int
        What the encoder will be trained at, in Hz.

    Raises
    ------
    FileNotFoundError
        If the source is missing.
    InputError
        If it is damaged or does not fit.
    """
    if source is None:
        return
    run_on_main(find_model, args=[source])
    path = find_model(source)
    if (path / "embedding_model.ckpt").is_file():
        path = path / "embedding_model.ckpt"
    if path.suffix == ".ckpt":
        state = read_tensors(path)
    else:
        state = _read_published(path, encoder, sample_rate)
    n_rows = len(state.get(POSITIONS, ()))
    if n_rows > 1 and encoder.embedding.freq_patches == 1:
        logger.info("Full-frequency patches start as the means of square ones.")
        # The largest stride with this number of rows, which is that of AST and
        # AuM: 10 or 16 bins for 12 or 8 rows of 16 in 128 bins
        others = encoder.embedding.n_mels - state[PATCHES].shape[2]
        stride_bins = others // (n_rows - 1)
        state = to_full_frequency(state, encoder.embedding, stride_bins)
    try:
        encoder.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(f"{path} does not fit. {error}") from error
    logger.info("The encoder starts from %s; its classifier is not used.", path)


def _read_published(path, encoder, sample_rate):
    """The tensors of a published encoder, which say nothing of two sizes."""
    published, _ = load_published(path)
    sizes = PUBLISHED_RATE, getattr(published, "num_heads", None)
    wanted = sample_rate, getattr(encoder, "num_heads", None)
    if sizes != wanted:
        raise InputError(
            f"{path} has a sampling rate and a number of attention heads of "
            f"{sizes}, but the encoder {wanted}."
        )
    return published.state_dict()
