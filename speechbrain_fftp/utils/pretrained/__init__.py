"""Loads checkpoints of AST and Audio Mamba, published or of this package.

Files are read as tensors only: pickled Python objects are refused, not run.
Every tensor of a file is used, or the file is refused with the names of those
that are missing or unknown.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import torch

from speechbrain.utils.logger import get_logger
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet.patching import SquarePatchEmbedding
from speechbrain_fftp.utils.pretrained.ast import load_ast
from speechbrain_fftp.utils.pretrained.tensors import (
    LOADING_ERRORS,
    PATCHES,
    POSITIONS,
    check_names,
    count_blocks,
    fill_model,
    naming_file,
    read_tensors,
    rename_tensors,
)

logger = get_logger(__name__)

EXPORTED = "embedding_model.ckpt"

# Names of an original Audio Mamba, see rename_tensors.
AUM_FO_BI = {
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
AUM_BI_BI = {
    **AUM_FO_BI,
    "blocks.#.mixer.D_b": ["layers.#.mixer.D_b"],
    "blocks.#.mixer.conv1d_b.*": ["layers.#.mixer.conv1d_b.*"],
    "blocks.#.mixer.x_proj_b.weight": ["layers.#.mixer.x_proj_b.weight"],
    "blocks.#.mixer.dt_proj_b.*": ["layers.#.mixer.dt_proj_b.*"],
}


def load_aum(source):
    """Loads a published Audio Mamba.

    Everything is inferred from the tensors, given that features have 128 mel
    bins and that patches do not overlap, as in all published files.

    Arguments
    ---------
    source : str
        The authors' ``.pth`` file, of the form Fo-Bi or Bi-Bi.

    Returns
    -------
    encoder : speechbrain_fftp.lobes.models.AuM.AuM
        The encoder: float32, on the CPU, in eval mode, without dropout.
    classifier : torch.nn.Linear
        Its classifier, likewise.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be read, or is no Audio Mamba of these forms. The message
        names the file and what is wrong.

    Example
    -------
    >>> shapes = {
    ...     "cls_token": [1, 1, 48],
    ...     "pos_embed.pos_embed": [1, 513, 48],
    ...     "patch_embed.proj.weight": [48, 1, 16, 16],
    ...     "patch_embed.proj.bias": [48],
    ...     "norm_f.weight": [48],
    ...     "head.weight": [527, 48],
    ...     "head.bias": [527],
    ...     "layers.0.norm.weight": [48],
    ...     "layers.0.mixer.A_log": [96, 16],
    ...     "layers.0.mixer.A_b_log": [96, 16],
    ...     "layers.0.mixer.D": [96],
    ...     "layers.0.mixer.in_proj.weight": [192, 48],
    ...     "layers.0.mixer.conv1d.weight": [96, 1, 4],
    ...     "layers.0.mixer.conv1d.bias": [96],
    ...     "layers.0.mixer.x_proj.weight": [35, 96],
    ...     "layers.0.mixer.dt_proj.weight": [96, 3],
    ...     "layers.0.mixer.dt_proj.bias": [96],
    ...     "layers.0.mixer.out_proj.weight": [48, 96],
    ... }
    >>> path = getfixture("tmpdir") / "aum.pth"
    >>> torch.save({k: torch.zeros(v) for k, v in shapes.items()}, path)
    >>> encoder, classifier = load_aum(path)
    >>> classifier(encoder(torch.rand(2, 64, 128))).shape
    torch.Size([2, 1, 527])
    """
    path = Path(source)
    state = read_tensors(path, "load_aum")
    depth = max(1, count_blocks(state, "layers."))
    table, form = AUM_FO_BI, "fo-bi"
    if "layers.0.mixer.conv1d_b.weight" in state:
        table, form = AUM_BI_BI, "bi-bi"
    with naming_file(path):
        what = f"a {form} Audio Mamba of depth {depth}"
        tensors = rename_tensors(state, table, depth, what)
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
        fill_model(encoder, classifier, tensors)
    return encoder.eval(), classifier.eval()


def load_encoder(encoder, source):
    """Initialises an encoder with the weights of a checkpoint.

    The encoder may differ from the checkpoint in what feeds its blocks.
    Positions of another clip length are interpolated. A patch embedding of
    another shape, such as the square patches of a published AST for an encoder
    with full-frequency ones, is not taken over, nor are its positions: the
    encoder keeps its own, and a warning names them. Width, depth and all else
    must be the same.

    Arguments
    ---------
    encoder : AST or AuM
        The encoder, changed in place.
    source : str
        What ``load_ast``, for an AST, or ``load_aum``, for an Audio Mamba,
        reads; or a model of this package: an inference folder (see
        ``speechbrain_fftp.inference.folder``) or an embedding_model.ckpt. The
        number of heads of the latter is known only if the folder's
        hyperparams.yaml lies beside it.

    Returns
    -------
    list of str
        Names of the encoder's tensors that were loaded.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the source cannot be read or does not fit the encoder, which is then
        unchanged.

    Example
    -------
    >>> from speechbrain_fftp.lobes.models.AST import AST
    >>> trained = AST(embed_dim=48, depth=1, num_heads=3)
    >>> path = getfixture("tmpdir") / "embedding_model.ckpt"
    >>> torch.save(trained.state_dict(), path)
    >>> encoder = AST(embed_dim=48, depth=1, num_heads=3, max_frames=100)
    >>> names = load_encoder(encoder, path)
    >>> names[:2]
    ['cls_tokens', 'embedding.proj.weight']
    >>> bool((encoder.cls_tokens == trained.cls_tokens).all())
    True
    """
    path = Path(source)
    if (path / EXPORTED).is_file():
        path = path / EXPORTED
    state = read_tensors(path) if path.is_file() else {}
    if PATCHES in state:
        heads = _exported_heads(path)
    else:
        loader = load_aum if isinstance(encoder, AuM) else load_ast
        loaded, _ = loader(path)
        state, heads = loaded.state_dict(), _heads(loaded)
    own = encoder.state_dict()
    with naming_file(path):
        _check_sizes(state, own, heads, _heads(encoder))
        left = _other_geometry(state, own)
        taken = {name: v for name, v in state.items() if name not in left}
        for name, value in taken.items():
            wanted = own[name].shape
            if value.shape != wanted and name != POSITIONS:
                raise ValueError(
                    f"{name} is {list(value.shape)} in the file, but "
                    f"{list(wanted)} in the encoder."
                )
    encoder.load_state_dict(taken, strict=False)
    logger.info("Loaded %d tensors of the encoder from %s", len(taken), path)
    if left:
        logger.warning(
            "The patches of %s are others than the encoder's, which keeps its "
            "own initialisation of: %s",
            path,
            ", ".join(left),
        )
    return list(taken)


def _heads(encoder):
    """Attention heads of an encoder, None if it has no attention."""
    return getattr(next(iter(encoder.blocks), None), "num_heads", None)


def _exported_heads(path):
    """Attention heads according to the yaml beside a file, None if unknown."""
    from ruamel.yaml import YAML, YAMLError

    path = path.with_name("hyperparams.yaml")
    if not path.is_file():
        return None
    try:
        heads = YAML().load(path)["embedding_model"].get("num_heads")
    except (*LOADING_ERRORS, YAMLError) as error:
        raise ValueError(
            f"{path} is not the yaml of a model: {error!r}"
        ) from error
    if heads is not None and not isinstance(heads, int):
        raise ValueError(f"{path}: num_heads is {heads!r}, not a number.")
    return heads


def _check_sizes(state, own, heads, own_heads):
    """Checks that blocks of a checkpoint fit into those of an encoder."""
    for name, saved, wanted in (
        ("embed_dim", len(state[PATCHES]), len(own[PATCHES])),
        ("depth", count_blocks(state, "blocks."), count_blocks(own, "blocks.")),
        ("num_heads", heads or own_heads, own_heads or heads),
    ):
        if saved != wanted:
            raise ValueError(
                f"The checkpoint has {name}={saved}, the encoder "
                f"{name}={wanted}: they must be the same."
            )
    check_names(state, own, "this encoder")


def _other_geometry(state, own):
    """Names of the tensors that belong to patches of another shape."""
    if state[PATCHES].shape != own[PATCHES].shape:
        return [n for n in own if n.startswith(("embedding.", "position."))]
    if POSITIONS in own and len(state[POSITIONS]) != len(own[POSITIONS]):
        return [POSITIONS]
    return []
