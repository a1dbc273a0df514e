"""The published models that can be loaded: one table, one row a family.

A new family is a file with functions that build its encoder, classifier and
front end, and a row of ``FAMILIES``.

Authors
 * The speechbrain_fftp authors 2026
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from speechbrain_fftp.pretrained import ast, atst, aum, ced, dasheng
from speechbrain_fftp.pretrained.front_end import FrontEnd, audioset_fbank
from speechbrain_fftp.pretrained.tensors import (
    Checkpoint,
    read_checkpoint,
    read_json_file,
)

PREPROCESSOR = "preprocessor_config.json"


@dataclass(frozen=True)
class Family:
    """How the models of a family are recognised and loaded.

    Attributes
    ----------
    name : str
        What messages call it. Two rows may have the same name: two file forms.
    build : callable
        Maps a ``Checkpoint`` to its encoder and classifier.
    front_end : callable
        Maps the encoder and the content of preprocessor_config.json, ``{}``
        for a single file, to a ``FrontEnd``.
    model_type : str, optional
        Recognises a folder: ``model_type`` in its config.json.
    tensor_prefix : str, optional
        Recognises a single file: the beginning of a tensor's name.
    class_names : callable, optional
        Returns the names of the classes of published models that do not name
        them; by default, those of AudioSet.
    """

    name: str
    build: Callable
    front_end: Callable
    model_type: str | None = None
    tensor_prefix: str | None = None
    class_names: Callable | None = None

    def matches(self, checkpoint: Checkpoint) -> bool:
        """Whether a checkpoint is of this family and form."""
        if checkpoint.config_file is not None:
            model_type = checkpoint.config.get("model_type")
            return model_type is not None and model_type == self.model_type
        return self.tensor_prefix is not None and any(
            name.startswith(self.tensor_prefix) for name in checkpoint.tensors
        )


FAMILIES = (
    Family(
        name="AST",
        model_type="audio-spectrogram-transformer",
        build=ast.build_from_folder,
        front_end=ast.folder_front_end,
    ),
    Family(
        name="AST",
        tensor_prefix="v.",
        build=ast.build_from_file,
        front_end=audioset_fbank,
    ),
    Family(
        name="Audio Mamba",
        tensor_prefix="layers.0.mixer.",
        build=aum.build_from_file,
        front_end=audioset_fbank,
    ),
    Family(
        name="CED",
        model_type="ced",
        build=ced.build_from_folder,
        front_end=ced.front_end,
    ),
    Family(
        name="ATST-Frame",
        tensor_prefix="model.atst.",
        build=atst.build_from_file,
        front_end=atst.front_end,
        class_names=atst.strong_classes,
    ),
    Family(
        name="Dasheng",
        model_type="dasheng",
        build=dasheng.build_from_folder,
        front_end=ced.front_end,
    ),
    Family(
        name="Dasheng",
        tensor_prefix="time_pos_embed",
        build=dasheng.build_from_file,
        front_end=dasheng.file_front_end,
    ),
)


def find_family(checkpoint: Checkpoint) -> Family:
    """The family of a checkpoint; a ValueError if it is not in the table."""
    for family in FAMILIES:
        if family.matches(checkpoint):
            return family
    known = ", ".join(dict.fromkeys(family.name for family in FAMILIES))
    if checkpoint.config_file is not None:
        model_type = str(checkpoint.config.get("model_type"))[:80]
        problem = f"{checkpoint.config_file} has model_type {model_type!r}"
    else:
        problem = f"{checkpoint.weights_file} has other tensors"
    raise ValueError(f"{problem}, not those of a published {known}.")


def load_front_end(
    family: Family, encoder: torch.nn.Module, checkpoint: Checkpoint
) -> FrontEnd:
    """The front end of a published model, named in a ValueError if unusable."""
    if checkpoint.config_file is None:
        return family.front_end(encoder, {})
    path = checkpoint.config_file.with_name(PREPROCESSOR)
    settings = read_json_file(path)
    try:
        return family.front_end(encoder, settings)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def load_ast(source: Path | str) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Loads a published AST: a Hugging Face folder or an original ``.pth``.

    Returns
    -------
    encoder, classifier : torch.nn.Module
        In float32, on the CPU and in eval mode.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a file is damaged, or is not of this family; the file is named.
    """
    return _load("AST", source)


def load_aum(source: Path | str) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Loads a published Audio Mamba, its authors' ``.pth``; see ``load_ast``."""
    return _load("Audio Mamba", source)


def load_ced(folder: Path | str) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Loads a published CED, a Hugging Face folder; see ``load_ast``."""
    return _load("CED", folder)


def load_atst(path: Path | str) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Loads an ATST-Frame of PretrainedSED, a ``.pt``; see ``load_ast``."""
    return _load("ATST-Frame", path)


def load_dasheng(source: Path | str) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Loads a published Dasheng: a Hugging Face folder or an authors' ``.pt``.

    Without classes, its classifier is ``torch.nn.Identity``; see ``load_ast``.
    """
    return _load("Dasheng", source)


def _load(name, source):
    """Encoder and classifier of a source that must be of a family."""
    checkpoint = read_checkpoint(source)
    family = find_family(checkpoint)
    if family.name != name:
        raise ValueError(
            f"{source} is of the family {family.name}, not {name}."
        )
    return family.build(checkpoint)
