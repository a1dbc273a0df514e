"""Reads files of tensors, renames what is in them, and fills models.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import pickle
import re
import struct
import zipfile

import torch

# What torch.load raises for a file that is damaged or no PyTorch file, or that
# holds other objects than tensors.
LOADING_ERRORS = (
    pickle.UnpicklingError,
    struct.error,
    AssertionError,
    EOFError,
)
LOADING_ERRORS += (
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
LOADING_ERRORS += (ArithmeticError, MemoryError, zipfile.BadZipFile)

# Names in this package's encoders; each has the first, not all the second.
PATCHES = "embedding.proj.weight"
POSITIONS = "position.table"


def read_tensors(path, loader=None):
    """Reads a file of named tensors.

    Arguments
    ---------
    path : pathlib.Path
        A file that torch or, if its name ends in ``.safetensors``, safetensors
        saved: a dict of tensors, which may be an entry ``model`` or
        ``state_dict`` of another dict, and whose keys may all start with the
        ``module.`` of ``DataParallel``.
    loader : str, optional
        Which of the loaders the file must be for, such as ``load_ast``.

    Returns
    -------
    dict of torch.Tensor
        The tensors, on the CPU, without the prefix.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be read, holds anything else than named tensors, or is
        for another loader.

    Example
    -------
    >>> from pathlib import Path
    >>> path = Path(getfixture("tmpdir")) / "model.pth"
    >>> torch.save({"model": {"module.weight": torch.ones(2)}}, path)
    >>> read_tensors(path)
    {'weight': tensor([1., 1.])}
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder, which only load_ast reads.")
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    size = path.stat().st_size
    try:
        packed = _unpacked_size(path) > size
        if not packed:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, *LOADING_ERRORS) as error:
        raise ValueError(
            f"{path} cannot be read: it is damaged, no PyTorch file, or holds "
            "Python objects other than tensors, which are not loaded. "
            f"({type(error).__name__})"
        ) from error
    if packed:
        raise ValueError(f"{path} is compressed, which torch does not do.")
    for key in ("model", "state_dict"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not state:
        raise ValueError(f"{path} holds no dict of tensors.")
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            raise ValueError(
                f"{path} holds more than named tensors: {key!r} is "
                f"{type(value).__name__}."
            )
        plain = value.layout == torch.strided and value.device.type == "cpu"
        if not plain or value.nbytes > size:
            raise ValueError(
                f"{path} does not hold all the numbers of {key!r}: "
                f"{list(value.shape)}, {value.layout}, {value.device}."
            )
    prefix = "module."
    if all(key.startswith(prefix) for key in state):
        state = {key[len(prefix) :]: value for key, value in state.items()}
    right = _right_loader(state)
    if loader and right and right != loader:
        raise ValueError(f"{path} is for {right}, not for {loader}.")
    return dict(state)


def _unpacked_size(path):
    """Bytes in the parts of a zip archive, which torch does not compress."""
    if not zipfile.is_zipfile(path):
        return 0
    with zipfile.ZipFile(path) as archive:
        return sum(part.file_size for part in archive.infolist())


def _right_loader(state):
    """The function that a file of these tensors is for, None if unknown."""
    if PATCHES in state:
        return "load_encoder"
    if any(".mixer." in name for name in state):
        return "load_aum"
    if any(name.startswith(("v.", "mlp_head.")) for name in state):
        return "load_ast"
    return None


def _read_safetensors(path):
    """Tensors of a safetensors file."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} cannot be read: {error}") from error


def count_blocks(names, prefix):
    """Counts the blocks of a model.

    Arguments
    ---------
    names : iterable of str
        Names of its tensors.
    prefix : str
        What precedes a block's number.

    Returns
    -------
    int
        How many different numbers follow the prefix.

    Example
    -------
    >>> count_blocks(["layers.0.a", "layers.0.b", "layers.1.a"], "layers.")
    2
    """
    number = re.compile(re.escape(prefix) + r"(\d+)\.")
    return len({found[1] for found in map(number.match, names) if found})


def check_names(names, expected, what):
    """Checks that two sets of tensors' names agree.

    Arguments
    ---------
    names : iterable of str
        The names in a file.
    expected : iterable of str
        The names that must be there, and no others.
    what : str
        What was expected, for the message.

    Raises
    ------
    ValueError
        If they differ. The message tells which are missing and unknown.

    Example
    -------
    >>> check_names(["a", "b"], ["a", "c"], "a toy")
    Traceback (most recent call last):
    ValueError: These are not the tensors of a toy. Missing: c. Unknown: b.
    """
    names, expected = set(names), set(expected)
    message = ""
    differing = {"Missing": expected - names, "Unknown": names - expected}
    for kind, some in differing.items():
        if some:
            message += f" {kind}: {', '.join(sorted(some)[:10])}"
            message += "." if len(some) <= 10 else f" ... ({len(some)} in all)."
    if message:
        raise ValueError(f"These are not the tensors of {what}.{message}")


def rename_tensors(state, table, depth, what):
    """Renames all tensors of a file, putting some together.

    Arguments
    ---------
    state : dict of torch.Tensor
        The file's tensors.
    table : dict
        For each new name the list of the old names of the tensors that it is
        made of, concatenated along their first axis. In the names, ``#``
        stands for each block's number and ``*`` for both weight and bias.
    depth : int
        The number of blocks.
    what : str
        What was expected, for the message.

    Returns
    -------
    dict of torch.Tensor
        The tensors by their new names, in float32.

    Raises
    ------
    ValueError
        If the file lacks a tensor of the table or holds another one.

    Example
    -------
    >>> state = {"q.weight": torch.ones(1), "k.weight": torch.zeros(1)}
    >>> state.update({"q.bias": torch.ones(1), "k.bias": torch.ones(1)})
    >>> rename_tensors(state, {"qk.*": ["q.*", "k.*"]}, 1, "a toy")
    {'qk.weight': tensor([1., 0.]), 'qk.bias': tensor([1., 1.])}
    """

    def fill(name, block, kind):
        """The name with the number of its block and its kind filled in."""
        return name.replace("#", str(block)).replace("*", kind)

    if depth > len(state):
        raise ValueError(f"{len(state)} tensors are too few for {what}.")
    names = {
        fill(new, block, kind): [fill(name, block, kind) for name in old]
        for new, old in table.items()
        for block in range(depth)
        for kind in ("weight", "bias")
    }
    check_names(state, (name for old in names.values() for name in old), what)
    return {
        new: torch.cat([state[name].float() for name in old])
        for new, old in names.items()
    }


@contextlib.contextmanager
def naming_file(path):
    """Makes errors name the file whose tensors are the reason.

    Arguments
    ---------
    path : str
        The file.

    Raises
    ------
    ValueError
        For each ``RuntimeError`` or ``ValueError`` inside.

    Example
    -------
    >>> with naming_file("some.pth"):
    ...     raise RuntimeError("size mismatch")
    Traceback (most recent call last):
    ValueError: some.pth: size mismatch
    """
    try:
        yield
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def fill_model(encoder, classifier, tensors):
    """Loads renamed tensors into an encoder and its classifier.

    These may be on the meta device, so that their sizes take no memory before
    it is known that the tensors fit: the tensors become their parameters.

    Arguments
    ---------
    encoder : AST or AuM
        The encoder.
    classifier : torch.nn.Module
        The classifier.
    tensors : dict of torch.Tensor
        Tensors by their names in the encoder, and in the classifier after
        ``classifier.``; and instead of the class tokens and the position
        table the original's ``tokens`` ``[count, 1, D]`` and ``positions``
        ``[1, count + F' * T', D]``, of which the class tokens' come first.

    Raises
    ------
    ValueError
        If there are more or fewer positions than the encoder has.

    Example
    -------
    >>> from speechbrain_fftp.lobes.models.AST import AST
    >>> encoder = AST(embed_dim=2, depth=0, num_heads=1, max_frames=25)
    >>> tensors = encoder.state_dict()
    >>> del tensors["cls_tokens"], tensors["position.table"]
    >>> tensors["tokens"] = torch.ones(2, 1, 2)
    >>> tensors["positions"] = torch.arange(6.0).view(1, 3, 2)
    >>> fill_model(encoder, torch.nn.Identity(), tensors)
    >>> encoder.cls_tokens.tolist(), encoder.position.table.tolist()
    ([[1.0, 2.0], [3.0, 4.0]], [[[4.0, 5.0]]])
    """
    tensors = dict(tensors)
    name = "cls_tokens" if hasattr(encoder, "cls_tokens") else "cls_token"
    shape = getattr(encoder, name).shape
    table = encoder.position.table
    tokens = tensors.pop("tokens").reshape(-1, shape[-1])
    positions = tensors.pop("positions").flatten(0, 1)
    rows, columns, _ = table.shape
    if len(positions) != len(tokens) + rows * columns:
        raise ValueError(
            f"{len(positions)} positions do not fit {len(tokens)} class tokens "
            f"and {rows} rows of {columns} patches."
        )
    tensors[name] = (tokens + positions[: len(tokens)]).view(shape)
    tensors[POSITIONS] = positions[len(tokens) :].view_as(table)
    prefix = "classifier."
    head = {k: tensors.pop(k) for k in list(tensors) if k.startswith(prefix)}
    head = {name[len(prefix) :]: value for name, value in head.items()}
    classifier.load_state_dict(head, assign=True)
    encoder.load_state_dict(tensors, assign=True)
