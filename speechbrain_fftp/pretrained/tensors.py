"""Reads files of tensors, and published models, without running code.

Authors
 * The speechbrain_fftp authors 2026
"""

import pickle
from dataclasses import dataclass
from pathlib import Path

import torch

from fftp_tag.errors import InputError
from fftp_tag.files import read_json

# Errors of torch.load and of building a model, for damaged or foreign files
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
)


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a file, or of a Hugging Face folder.

    ``config`` is the content of the folder's config.json.
    """

    path: Path
    tensors: dict[str, torch.Tensor]
    config: dict


def read_checkpoint(path: Path | str) -> Checkpoint:
    """Reads a file of tensors, or a Hugging Face folder."""
    path = Path(path)
    if not path.is_dir():
        return Checkpoint(path, read_tensors(path), config={})
    file = path / "model.safetensors"
    if not file.is_file() and (path / "pytorch_model.bin").is_file():
        file = path / "pytorch_model.bin"
    return Checkpoint(path, read_tensors(file), read_json(path / "config.json"))


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Reads a file of named tensors, by safetensors or torch.

    A torch file holds a dict of tensors, or a dict with one under ``model`` or
    ``state_dict``. The prefix ``module.`` of ``DataParallel`` is removed.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    InputError
        If it is damaged, or holds anything but tensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, *LOADING_ERRORS) as error:
        raise InputError(
            f"{path} cannot be read: it is damaged, not a PyTorch file, or "
            "contains Python objects other than tensors, which are not loaded. "
            f"({type(error).__name__})"
        ) from error
    if isinstance(content, dict):
        content = content.get("model", content.get("state_dict", content))
    is_dict = isinstance(content, dict)
    if not is_dict or not all(map(torch.is_tensor, content.values())):
        raise InputError(f"{path} contains more than named tensors.")
    return {name.removeprefix("module."): x for name, x in content.items()}
