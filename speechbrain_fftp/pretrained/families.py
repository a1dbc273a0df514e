"""The published models that can be loaded: one table, one row a family.

A new family is a file with functions that build its encoder and classifier and
its front end, and a row of ``FAMILIES``.

Authors
 * The speechbrain_fftp authors 2026
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.pretrained import ast, atst, aum, ced, dasheng
from speechbrain_fftp.pretrained.tensors import (
    LOADING_ERRORS,
    read_checkpoint,
    read_json_file,
)


@dataclass(frozen=True)
class Family:
    """How the models of a family are recognised and loaded.

    Attributes
    ----------
    name : str
        What messages call it.
    prefixes : tuple of str
        Recognise a checkpoint: the beginnings of names of tensors that no other
        family has, one for each form of its files.
    build : callable
        Maps tensors and the config of a ``Checkpoint`` to an encoder and a
        classifier.
    front_end : callable
        Maps the encoder and the content of preprocessor_config.json, ``{}``
        for a single file, to a ``FrontEnd``.
    class_names : callable, optional
        Returns the names of the classes of published models that do not name
        them; by default, those of AudioSet.
    """

    name: str
    prefixes: tuple[str, ...]
    build: Callable
    front_end: Callable
    class_names: Callable | None = None


FAMILIES = (
    Family(
        name="AST",
        prefixes=("audio_spectrogram_transformer.", "v."),
        build=ast.build,
        front_end=ast.front_end,
    ),
    Family(
        name="Audio Mamba",
        prefixes=("layers.0.mixer.",),
        build=aum.build,
        front_end=ast.front_end,
    ),
    Family(
        name="CED",
        prefixes=("encoder.init_bn.weight",),
        build=ced.build,
        front_end=ced.front_end,
    ),
    Family(
        name="ATST-Frame",
        prefixes=("model.atst.",),
        build=atst.build,
        front_end=atst.front_end,
        class_names=atst.strong_classes,
    ),
    Family(
        name="Dasheng",
        prefixes=("encoder.init_bn.1.", "init_bn.1."),
        build=dasheng.build,
        front_end=dasheng.front_end,
    ),
)


def find_family(checkpoint):
    """The family of a checkpoint; an InputError if it is not in the table."""
    for family in FAMILIES:
        if any(name.startswith(family.prefixes) for name in checkpoint.tensors):
            return family
    known = ", ".join(family.name for family in FAMILIES)
    raise InputError(
        f"{checkpoint.path} is not a published model that can be loaded, which "
        f"are {known}: it has other tensors."
    )


def build_modules(family, checkpoint):
    """Encoder and classifier of a checkpoint, in float32 and eval mode.

    Every tensor of the checkpoint is used, or it is an InputError.
    """
    try:
        with torch.device("meta"):  # weights are the checkpoint's
            return family.build(checkpoint.tensors, checkpoint.config)
    except LOADING_ERRORS as error:
        raise InputError(
            f"{checkpoint.path} is not a complete {family.name} of a form that "
            f"can be loaded. {type(error).__name__}: {error}"
        ) from error


def load_front_end(family, encoder, checkpoint):
    """The ``FrontEnd`` of a published model."""
    if not checkpoint.path.is_dir():
        return family.front_end(encoder, {})
    path = checkpoint.path / "preprocessor_config.json"
    settings = read_json_file(path)
    try:
        return family.front_end(encoder, settings)
    except LOADING_ERRORS as error:
        raise InputError(
            f"{path} cannot be used. {type(error).__name__}: {error}"
        ) from error


def load_published(
    source: Path | str, name: str | None = None
) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Loads a published model: a Hugging Face folder or an authors' file.

    Arguments
    ---------
    source : str or Path
    name : str, optional
        The family that it must be of.

    Returns
    -------
    encoder, classifier : torch.nn.Module
        In float32, on the CPU and in eval mode. Without classes, as Dasheng is,
        the classifier is ``torch.nn.Identity``.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    InputError
        If a file is damaged, or is not of a known family; the file is named.
    """
    checkpoint = read_checkpoint(source)
    family = find_family(checkpoint)
    if name not in (None, family.name):
        raise InputError(
            f"{source} is of the family {family.name}, not {name}."
        )
    return build_modules(family, checkpoint)


def load_ast(source: Path | str) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Loads an AST: a Hugging Face folder or an original ``.pth``."""
    return load_published(source, "AST")


def load_aum(source: Path | str) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Loads an Audio Mamba: its authors' ``.pth``."""
    return load_published(source, "Audio Mamba")
