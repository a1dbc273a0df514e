"""Loads checkpoints of AST, CED and Audio Mamba, published or our own.

Files are read as tensors only: pickled Python objects are refused, not run.
Every tensor of a file is used; otherwise the file is refused with the names of
the missing and unknown tensors.

Weights that were trained with square patches are reused for FFTP, a question
that https://arxiv.org/abs/2508.21243 leaves open: a full-frequency patch of the
same frames can compute the mean of a column of square tokens exactly. Its
kernel is the mean of the square one at all rows, and its position the mean of
theirs. Blocks, norms and class tokens stay the same.

Authors
 * The speechbrain_fftp authors 2026
"""

import copy

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.lobes.models.CED import CED
from speechbrain_fftp.nnet.patching import FFTPEmbedding
from speechbrain_fftp.nnet.position import PositionEmbedding
from speechbrain_fftp.nnet.tokens import check_embedding
from speechbrain_fftp.pretrained.ast import load_ast
from speechbrain_fftp.pretrained.aum import load_aum
from speechbrain_fftp.pretrained.ced import load_ced
from speechbrain_fftp.pretrained.hub import find_model
from speechbrain_fftp.pretrained.tensors import (
    LOADING_ERRORS,
    PATCHES,
    POSITIONS,
    check_names,
    count_blocks,
    read_json_file,
    read_tensors,
)

logger = get_logger(__name__)

EXPORTED = "embedding_model.ckpt"
PUBLISHED_RATE = 16000  # sampling rate of all published models
PARTS = ("embedding.", "position.")  # what depends on the patches' shape
PUBLISHED = {AuM: load_aum, CED: lambda path, _: load_ced(path)}


def load_encoder(encoder, source, sample_rate=None):
    """Initializes an encoder with the weights of a checkpoint.

    ``source`` is a published model, on disk or as ``owner/name[@revision]`` on
    the hub; or an inference folder or its embedding_model.ckpt. Width and depth
    must be the encoder's, and the number of heads and the ``sample_rate`` those
    of config.json or hyperparams.yaml, if any. Positions of another clip length
    are interpolated. Square patches, such as a published AST's, become
    full-frequency ones, see ``square_to_fftp``. For patches of another shape,
    the encoder keeps its own weights and positions, with a warning.

    Returns the names of the tensors that were loaded. A source that is missing,
    damaged or does not fit is a FileNotFoundError or a ValueError, and the
    encoder is unchanged.
    """
    path = find_model(source)
    if (path / EXPORTED).is_file():
        path = path / EXPORTED
    state, heads, stride, rate = _read_own(path)
    if PATCHES not in state:
        loaded, _ = PUBLISHED.get(type(encoder), load_ast)(path, state)
        state, heads = loaded.state_dict(), getattr(loaded, "num_heads", None)
        stride, rate = loaded.embedding.stride_frames, PUBLISHED_RATE
    if _is_square(state, encoder, stride):
        state = _to_full_frequency(state, encoder.embedding, stride)
        text = "%s has square patches: full-frequency ones start as their means"
        logger.info(text, path)
    try:
        rates = rate or sample_rate, sample_rate or rate
        taken = _fitting_tensors(state, encoder, heads, rates)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    kept = encoder.load_state_dict(taken, strict=False).missing_keys
    logger.info("Loaded %d tensors of the encoder from %s", len(taken), path)
    if kept:
        text = "%s has patches of another shape than the encoder, which keeps "
        text += "its own initialization of: %s"
        logger.warning(text, path, ", ".join(kept))
    return list(taken)


def _read_own(path):
    """Tensors, heads, stride and sampling rate of a file or inference folder.

    A published model has no tensors. What is unknown is None.
    """
    if path.is_file():
        state = read_tensors(path)
        about, rate = _exported_sizes(path) if PATCHES in state else ({}, None)
    else:
        config_file, part = path / "config.json", "embedding_model"
        config = read_json_file(config_file) if config_file.is_file() else {}
        if not isinstance(about := config.get(part), dict):
            return {}, None, None, None
        tensors = read_tensors(path / "model.safetensors")
        names = {k: k.removeprefix(f"{part}.") for k in tensors}
        state = {new: tensors[k] for k, new in names.items() if k != new}
        rate = config.get("sample_rate")
    sizes = about.get("num_heads"), dict(about.get("embedding") or {})
    return state, sizes[0], sizes[1].get("stride"), rate


def _exported_sizes(path):
    """The encoder's arguments, and the rate, in the yaml beside a file."""
    from ruamel.yaml import YAML, YAMLError

    path = path.with_name("hyperparams.yaml")
    if not path.is_file():
        return {}, None
    try:
        content = YAML().load(path)
        about = dict(content["embedding_model"])
        heads, rate = about.get("num_heads"), content.get("sample_rate")
    except (*LOADING_ERRORS, YAMLError) as error:
        problem = f"is not the yaml of a model: {error!r}"
        raise ValueError(f"{path} {problem}") from error
    if heads is not None and not isinstance(heads, int):
        raise ValueError(f"{path}: num_heads is {heads!r}, not a number.")
    return about, rate


def _is_square(state, encoder, stride):
    """Whether an FFTP encoder can take over a checkpoint's square patches."""
    embedding, patches = encoder.embedding, state[PATCHES]
    if not _is_one_layer(embedding) or not isinstance(stride, int):
        return False
    # The positions tell the number of rows, which depends on the mel bins.
    rows = (embedding.n_mels - patches.shape[2]) // stride + 1
    return rows > 1 and len(state.get(POSITIONS, ())) == rows


def _is_one_layer(embedding):
    """Whether patches are full-frequency ones of a single convolution."""
    return embedding.freq_patches == 1 and embedding.stem is None


def _fitting_tensors(state, encoder, heads, rates):
    """A checkpoint's tensors without those of patches of another shape."""
    own = encoder.state_dict()
    own_heads = getattr(encoder, "num_heads", None)
    for name, saved, wanted in (
        ("embed_dim", len(state[PATCHES]), encoder.embed_dim),
        ("depth", count_blocks(state, "blocks."), encoder.depth),
        ("num_heads", heads or own_heads, own_heads or heads),
        ("sample_rate", *rates),
    ):
        if saved != wanted:
            raise ValueError(
                f"The checkpoint has {name}={saved}, the encoder "
                f"{name}={wanted}: they must be equal."
            )
    if state[PATCHES].shape != own[PATCHES].shape:
        state, own = (
            {k: v for k, v in x.items() if not k.startswith(PARTS)}
            for x in (state, own)
        )
    check_names(state, own, "this encoder")
    for name, tensor in own.items():
        if name != POSITIONS and state[name].shape != tensor.shape:
            raise ValueError(
                f"{name} is {list(state[name].shape)} in the file, but "
                f"{list(tensor.shape)} in the encoder."
            )
    rows = {len(x.get(POSITIONS, ())) for x in (state, own)}
    if len(rows) > 1:
        state = {k: v for k, v in state.items() if k != POSITIONS}
    return state


def square_to_fftp(encoder, embedding):
    """Returns a copy of an AST or AuM with full-frequency, not square patches.

    Its embedding is a copy of the given ``FFTPEmbedding`` with new weights:
    tokens of patches that are as long as the square ones are the means of their
    columns. Longer ones are the means of all square tokens within them. Shorter
    ones are those of a clip whose frames outside the patch repeat its first and
    last one.

    Patches that are not square, or an embedding that does not fit, are a
    ValueError.
    """
    old = encoder.embedding
    if old.freq_patches == 1 or not _is_one_layer(embedding):
        raise ValueError(
            "square_to_fftp turns square patches into full-frequency ones, not "
            f"{type(old).__name__} into {type(embedding).__name__}"
            f"{' with a stem' if embedding.stem is not None else ''}."
        )
    sizes = encoder.n_mels, encoder.embed_dim, encoder.max_frames
    check_embedding(embedding, *sizes)
    new = copy.deepcopy(encoder)
    new.embedding = copy.deepcopy(embedding)
    columns = embedding.time_patches(encoder.max_frames)
    if hasattr(new, "position"):
        new.position = PositionEmbedding(1, columns, encoder.embed_dim)
    state = encoder.state_dict()
    state = _to_full_frequency(state, embedding, old.stride_frames)
    new.load_state_dict(state)
    return new.train(encoder.training)


def _to_full_frequency(state, embedding, stride):
    """Turns a state dict with square patches into one for an FFTP embedding.

    Time positions are still those of the square patches' columns.
    """
    square = state[PATCHES]
    width, _, bins, frames = square.shape
    n_mels, wanted = embedding.n_mels, embedding.patch_frames
    rows = range(0, n_mels - bins + 1, stride)
    columns = range(0, max(wanted - frames, 0) + 1, stride)
    kernel = square.new_zeros(width, 1, n_mels, max(wanted, frames))
    # The square tokens that fit in are in the middle of a longer patch.
    left = max(wanted - frames - columns[-1], 0) // 2
    for row in rows:
        for column in columns:
            start = left + column
            kernel[:, :, row : row + bins, start : start + frames] += square
    kernel /= len(rows) * len(columns)
    cut = frames - wanted
    if cut > 0:  # frames outside the patch count for its first and last one
        first, last = cut // 2, cut - cut // 2
        kernel[..., first] += kernel[..., :first].sum(-1)
        kernel[..., -last - 1] += kernel[..., -last:].sum(-1)
        kernel = kernel[..., first : frames - last]
    state = {**state, PATCHES: kernel}
    if POSITIONS in state:
        state[POSITIONS] = state[POSITIONS].mean(0, keepdim=True)
    return state
