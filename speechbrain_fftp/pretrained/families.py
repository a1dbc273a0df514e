"""The published models that can be loaded, a row for each family.

Every other model comes as an ONNX file, see ``fftp_tag.model.foreign``.

Authors
 * The speechbrain_fftp authors 2026
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from fftp_tag.errors import InputError
from speechbrain_fftp.pretrained import ast, aum, efficientat, vit
from speechbrain_fftp.pretrained.tensors import LOADING_ERRORS, read_checkpoint


@dataclass(frozen=True)
class Family:
    """How the models of a family are recognised and loaded.

    Attributes
    ----------
    name : str
        The name in messages.
    prefixes : tuple of str
        Prefixes of tensor names that no later family has, by which a checkpoint
        is recognised; one for each file format.
    build : callable
        Maps the tensors and the config of a ``Checkpoint`` to an encoder and a
        classifier.
    is_image : bool
        Whether its models are of images: a training can start from them.
    write : callable, optional
        Writes a model.onnx, see ``efficientat.write``, of models with features
        of their own: no training can start from them.
    """

    name: str
    prefixes: tuple[str, ...]
    build: Callable
    is_image: bool = False
    write: Callable | None = None


FAMILIES = (
    Family("AST", ("audio_spectrogram_transformer.", "v."), ast.build),
    Family("Audio Mamba", ("layers.0.mixer.",), aum.build),
    Family(
        "EfficientAT",
        ("features.0.0.",),
        efficientat.build,
        write=efficientat.write,
    ),
    Family(
        "ViT or DeiT",
        ("vit.", "deit.", "embeddings.cls_token", "cls_token"),
        vit.build,
        is_image=True,
    ),
)


def find_family(checkpoint):
    """Finds the family of a checkpoint; raises an InputError if it has none."""
    for family in FAMILIES:
        if any(name.startswith(family.prefixes) for name in checkpoint.tensors):
            return family
    known = ", ".join(family.name for family in FAMILIES)
    raise InputError(
        f"{checkpoint.path} is not a checkpoint that can be loaded: its tensors "
        f"match none of {known}. Other models are read as ONNX files."
    )


def build_modules(family, checkpoint):
    """Encoder and classifier of a checkpoint, in float32 and eval mode.

    Raises an InputError unless every tensor of the checkpoint is used.
    """
    try:
        with torch.device("meta"):  # the weights come from the checkpoint
            return family.build(checkpoint.tensors, checkpoint.config)
    except LOADING_ERRORS as error:
        raise InputError(
            f"{checkpoint.path} is incomplete or not a {family.name} that can "
            f"be loaded. {type(error).__name__}: {error}"
        ) from error


def load_published(
    source: Path | str, name: str
) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Loads a model of a family: a Hugging Face folder or an authors' file.

    Returns encoder and classifier in float32, on the CPU and in eval mode.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    InputError
        If a file is damaged or of another family.
    """
    checkpoint = read_checkpoint(source)
    family = find_family(checkpoint)
    if family.name != name:
        raise InputError(
            f"{source} is a model of the family {family.name}, not {name}."
        )
    return build_modules(family, checkpoint)


def load_ast(source: Path | str) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Loads an AST: a Hugging Face folder or an authors' ``.pth``."""
    return load_published(source, "AST")


def load_aum(source: Path | str) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Loads an Audio Mamba: an authors' ``.pth``."""
    return load_published(source, "Audio Mamba")
