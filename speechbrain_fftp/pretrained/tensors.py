"""Reads files of named tensors, renames the tensors and loads them into models.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import pickle
import re
import struct
import zipfile

import torch

# What torch.load and building a model raise for damaged or foreign files.
LOADING_ERRORS = (ArithmeticError, AssertionError, AttributeError, EOFError)
LOADING_ERRORS += (LookupError, MemoryError, RuntimeError, TypeError)
LOADING_ERRORS += (ValueError, pickle.UnpicklingError, struct.error)
LOADING_ERRORS += (zipfile.BadZipFile,)

# Names in this package's encoders; AuM without positions lacks the second.
PATCHES = "embedding.proj.weight"
POSITIONS = "position.table"

MAX_TEXT = 2**24  # bytes of a JSON or CSV file
MAX_SIZE = 2**20  # of any size in a config.json
REAL = ("mlp_ratio", "norm_eps")  # sizes that need not be integers

# The function that loads a file with such a tensor.
LOADERS = {
    re.escape(PATCHES): "load_encoder",
    r".*\.mixer\.": "load_aum",
    r"v\.|mlp_head\.": "load_ast",
}


def read_tensors(path):
    """Reads a file of named tensors without unpickling other objects.

    The file is one of safetensors, by its name, or else of torch: a dict of
    tensors, or a dict with one as its ``model`` or ``state_dict``. The prefix
    ``module.`` of ``DataParallel`` is removed. Anything else is a ValueError, a
    missing file a FileNotFoundError.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not a file of tensors.")
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except SafetensorError as error:
            raise ValueError(f"{path} cannot be read: {error}") from error
    state = _read_torch(path)
    for key in ("model", "state_dict"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not state:
        raise ValueError(f"{path} does not contain a dict of tensors.")
    size = path.stat().st_size
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            raise ValueError(
                f"{path} must contain named tensors only: {key!r} is "
                f"{type(value).__name__}."
            )
        plain = value.layout == torch.strided and value.device.type == "cpu"
        if not plain or value.nbytes > size:
            raise ValueError(
                f"{path} does not contain all values of {key!r}: "
                f"{list(value.shape)}, {value.layout}, {value.device}."
            )
    if all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): x for key, x in state.items()}
    return dict(state)


def find_loader(names):
    """The function that loads a file of tensors with these names, or None."""
    for pattern, loader in LOADERS.items():
        if any(re.match(pattern, name) for name in names):
            return loader


def for_loader(loader, path, state=None):
    """A file's tensors, read unless they are given; not for another loader."""
    state = state or read_tensors(path)
    right = find_loader(state)
    if right not in (None, loader):
        raise ValueError(f"{path} is for {right}, not for {loader}.")
    return state


def read_text(path):
    """The content of a text file of at most ``MAX_TEXT`` bytes, without BOM."""
    if path.stat().st_size > MAX_TEXT:
        raise ValueError(f"{path} is larger than {MAX_TEXT} bytes.")
    return path.read_text("utf-8-sig")


def read_json_file(path):
    """The object in a JSON file."""
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} does not contain a JSON object.")
    return content


def _read_torch(path):
    """The object in a file that torch saved."""
    try:
        unpacked = 0
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                unpacked = sum(part.file_size for part in archive.infolist())
        if unpacked <= path.stat().st_size:
            return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, *LOADING_ERRORS) as error:
        text = f"{path} cannot be read: it is damaged, not a PyTorch file, or "
        text += "contains Python objects other than tensors, which are not "
        text += f"loaded. ({type(error).__name__})"
        raise ValueError(text) from error
    raise ValueError(f"{path} is compressed, which torch never does.")


def count_blocks(names, prefix):
    """How many different numbers of blocks follow a prefix in some names."""
    number = re.compile(re.escape(prefix) + r"(\d+)\.")
    return len({found[1] for found in map(number.match, names) if found})


def check_names(names, expected, what):
    """Raises a ValueError with the names that a file lacks or has too many."""
    names, expected = set(names), set(expected)
    message = ""
    differing = {"Missing": expected - names, "Unknown": names - expected}
    for kind, some in differing.items():
        if some:
            message += f" {kind}: {', '.join(sorted(some)[:10])}"
            message += "." if len(some) <= 10 else f" ... ({len(some)} in all)."
    if message:
        raise ValueError(f"These are not the tensors of {what}.{message}")


def _rename_tensors(state, table, depth, what):
    """Renames all tensors of a file, in float32.

    The table maps each new name to a list of old names, whose tensors are
    concatenated along their first axis. In the names, ``#`` stands for each of
    ``depth`` blocks' numbers, and ``*`` for both weight and bias. ``what`` is
    the model for the message of a ValueError.
    """
    if depth > len(state):
        raise ValueError(f"{len(state)} tensors are too few for {what}.")
    names = _table_names(table, depth)
    check_names(state, (name for old in names.values() for name in old), what)
    return {
        new: torch.cat([torch.atleast_1d(state[name].float()) for name in old])
        for new, old in names.items()
    }


def _table_names(table, depth):
    """The old names of each new one, see ``_rename_tensors``."""
    names = {}
    for new, old in table.items():
        for block in range(depth):
            for kind in ("weight", "bias"):
                full, *parts = (
                    name.replace("#", str(block)).replace("*", kind)
                    for name in (new, *old)
                )
                names[full] = parts
    return names


def name_tensors(tensors, table, depth):
    """Gives tensors their old names, the reverse of ``_rename_tensors``."""
    return {
        name: part.contiguous()
        for new, names in _table_names(table, depth).items()
        for name, part in zip(names, tensors[new].chunk(len(names)))
    }


def load_renamed(path, state, table, depth, kind, build, head_eps=1e-5):
    """Builds an encoder and its classifier, in eval mode, of a file's tensors.

    ``build`` makes the encoder for the renamed tensors. ``tokens``
    ``[K, 1, D]`` and ``positions`` ``[1, K + F' * T', D]``, if present, replace
    class tokens and position table; the first K positions are the tokens'.
    """
    prefix = "classifier."
    try:
        what = f"{kind} of depth {depth}"
        tensors = _rename_tensors(state, table, depth, what)
        head = [name for name in tensors if name.startswith(prefix)]
        head = {name.removeprefix(prefix): tensors.pop(name) for name in head}
        with torch.device("meta"):  # no memory before they are known to fit
            encoder = build(tensors)
            width, (*_, bias) = encoder.embed_dim, head.values()
            classifier = torch.nn.Linear(width, bias.numel())
            if len(head) > 2:
                norm = torch.nn.LayerNorm(width, eps=head_eps)
                classifier = torch.nn.Sequential(norm, classifier)
        if "tokens" in tensors:
            _split_positions(encoder, tensors)
        classifier.load_state_dict(head, assign=True)
        encoder.load_state_dict(tensors, assign=True)
        return encoder.eval(), classifier.eval()
    except (IndexError, RuntimeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def _split_positions(encoder, tensors):
    """Replaces ``tokens`` and ``positions``, see ``load_renamed``."""
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


def read_config(path, fixed, names):
    """Reads a Hugging Face config.json: its content, and a model's sizes.

    ``fixed`` holds the values that each of some keys may have. ``names`` maps
    names of sizes to their keys.
    """
    config = read_json_file(path)
    for key, values in fixed.items():
        if config.get(key) not in values:
            raise ValueError(
                f"{path}: {key} is {config.get(key)!r}, but only "
                f"{' or '.join(map(repr, values))} is supported."
            )
    sizes = {name: config.get(key) for name, key in names.items()}
    for name, value in sizes.items():
        kind, what = int, f"an integer from 1 to {MAX_SIZE}"
        if name in REAL:
            kind, what = (int, float), "a number above 0"
        if not isinstance(value, kind) or not 0 < value <= MAX_SIZE:
            raise ValueError(
                f"{path}: {names[name]} must be {what}, not {value!r}."
            )
    return config, sizes
