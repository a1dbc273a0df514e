"""The table of published models that can be loaded, with one row per family.

A new family needs a file with functions that build its encoder and classifier
and its front end, and a row of ``FAMILIES``.

Authors
 * The speechbrain_fftp authors 2026
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from fftp_tag.data.audioset import read_classes
from fftp_tag.errors import InputError
from fftp_tag.files import read_json
from speechbrain_fftp.pretrained import ast, atst, aum, ced, dasheng, vit
from speechbrain_fftp.pretrained.tensors import LOADING_ERRORS, read_checkpoint


def audioset_classes():
    """Names of AudioSet's 527 classes, in order."""
    return list(read_classes().values())


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
    front_end : callable or None
        Maps the encoder and the content of preprocessor_config.json, ``{}``
        for a single file, to a ``FrontEnd``; None for models of images.
    class_names : callable
        Returns the class names for models that do not have them; by default,
        AudioSet's.
    """

    name: str
    prefixes: tuple[str, ...]
    build: Callable
    front_end: Callable | None
    class_names: Callable = audioset_classes


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
        front_end=ced.front_end,
    ),
    Family(
        name="ViT or DeiT",
        prefixes=("vit.", "deit.", "embeddings.cls_token", "cls_token"),
        build=vit.build,
        front_end=None,
    ),
)


def find_family(checkpoint):
    """Finds the family of a checkpoint; raises an InputError if it has none."""
    for family in FAMILIES:
        if any(name.startswith(family.prefixes) for name in checkpoint.tensors):
            return family
    known = ", ".join(family.name for family in FAMILIES)
    raise InputError(
        f"{checkpoint.path} is not a published model that can be loaded: its "
        f"tensors match none of {known}."
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


def load_front_end(family, encoder, checkpoint):
    """The ``FrontEnd`` of a published model."""
    if family.front_end is None:
        raise InputError(
            f"{checkpoint.path} is a {family.name}, a model of images, which "
            "cannot tag sounds: a training can start from it, by --pretrained."
        )
    if not checkpoint.path.is_dir():
        return family.front_end(encoder, {})
    path = checkpoint.path / "preprocessor_config.json"
    settings = read_json(path)
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
        The folder or file.
    name : str, optional
        The required family.

    Returns
    -------
    encoder, classifier : torch.nn.Module
        In float32, on the CPU and in eval mode. The classifier of a model
        without classes, such as Dasheng, is ``torch.nn.Identity``.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    InputError
        If a file is damaged or not of a known family.
    """
    checkpoint = read_checkpoint(source)
    family = find_family(checkpoint)
    if name not in (None, family.name):
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
