"""Reads files of tensors, and published models, without running code.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import pickle
import struct
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import torch

# What torch.load and building a model raise for damaged or foreign files
LOADING_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
    zipfile.BadZipFile,
)

MAX_TEXT = 2**24  # bytes of a JSON or CSV file


@dataclass(frozen=True)
class Checkpoint:
    """What a file of tensors, or a folder with config.json, contains.

    ``config_file`` belongs to folders in Hugging Face's form. ``config`` is its
    content, or the ``config`` that a file of torch holds beside the tensors.
    """

    weights_file: Path
    tensors: dict[str, torch.Tensor]
    config_file: Path | None = None
    config: dict = field(default_factory=dict)


def read_checkpoint(path: Path | str) -> Checkpoint:
    """Reads a file of tensors, or a folder in Hugging Face's form.

    Raises
    ------
    FileNotFoundError
        If the path, config.json or model.safetensors is missing.
    ValueError
        If a file is damaged, or not of tensors only.
    """
    path = Path(path)
    if not path.is_dir():
        tensors, config = _read_file(path)
        return Checkpoint(weights_file=path, tensors=tensors, config=config)
    config_file = path / "config.json"
    config = read_json_file(config_file)
    weights_file = path / "model.safetensors"
    return Checkpoint(
        weights_file=weights_file,
        tensors=read_tensors(weights_file),
        config_file=config_file,
        config=config,
    )


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Reads a file of named tensors; pickled objects are refused, not loaded.

    The file is one of safetensors, by its name, or else of torch: a dict of
    tensors, or a dict with one as its ``model`` or ``state_dict``. The prefix
    ``module.`` of ``DataParallel`` is removed.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged or contains anything else.
    """
    tensors, _ = _read_file(path)
    return tensors


def _read_file(path):
    """The tensors of a file, and the ``config`` beside them, ``{}`` if none."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not a file of tensors.")
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path), {}
        except SafetensorError as error:
            raise ValueError(f"{path} cannot be read: {error}") from error

    state = _load_torch_file(path)
    config = state.get("config") if isinstance(state, dict) else None
    if not isinstance(config, dict):
        config = {}
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
        # A small file can hold a view, or a sparse tensor, of any size.
        is_plain = value.layout == torch.strided and value.device.type == "cpu"
        if not is_plain or value.nbytes > size:
            raise ValueError(f"{path} does not contain all values of {key!r}.")
    if all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): x for key, x in state.items()}
    return dict(state), config


def _load_torch_file(path):
    """The object in a file that torch saved."""
    try:
        unpacked = 0
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                unpacked = sum(part.file_size for part in archive.infolist())
        if unpacked <= path.stat().st_size:
            return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, *LOADING_ERRORS) as error:
        raise ValueError(
            f"{path} cannot be read: it is damaged, not a PyTorch file, or "
            "contains Python objects other than tensors, which are not loaded. "
            f"({type(error).__name__})"
        ) from error
    raise ValueError(f"{path} is compressed, which torch never does.")


def read_text(path: Path) -> str:
    """The content of a text file of at most ``MAX_TEXT`` bytes, without BOM."""
    if path.stat().st_size > MAX_TEXT:
        raise ValueError(f"{path} is larger than {MAX_TEXT} bytes.")
    return path.read_text("utf-8-sig")


def read_json_file(path: Path) -> dict:
    """The object in a JSON file; a ValueError if it has none."""
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} does not contain a JSON object.")
    return content
