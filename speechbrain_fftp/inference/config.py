"""Describes the modules of a model in config.json and builds them again.

A module is ``{"class": name, argument: value, ...}``, its class one of a fixed
table, so that a foreign file cannot run code.

Authors
 * The speechbrain_fftp authors 2026
"""

import inspect

import torch

from speechbrain.processing.features import InputNormalization
from speechbrain_fftp.lobes.features import DatasetNormalization, KaldiFbank
from speechbrain_fftp.lobes.frame_classifier import (
    FrameClassifier,
    LinearSoftmaxPooling,
    MaxPooling,
)
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d
from speechbrain_fftp.nnet.convolution import ConvStem
from speechbrain_fftp.nnet.patching import PatchEmbedding
from speechbrain_fftp.pretrained.encoder import ChunkedTransformer
from speechbrain_fftp.pretrained.mel_decibels import MelDecibels

# The arguments of ``Tagger``, in their order
MODULES = ("compute_features", "mean_var_norm", "embedding_model", "classifier")
TRAINED = ("embedding_model", "classifier")  # the modules with weights
NUMBERS = ("sample_rate", "max_frames")
NEEDED = (*NUMBERS, *MODULES)

CLASSES = {
    cls.__name__: cls
    for cls in (
        # Front ends
        KaldiFbank,
        MelDecibels,
        DatasetNormalization,
        InputNormalization,
        # Encoders
        AST,
        AuM,
        ChunkedTransformer,
        ConvNeXt1d,
        PatchEmbedding,
        ConvStem,
        # Classifiers
        FrameClassifier,
        LinearSoftmaxPooling,
        MaxPooling,
        torch.nn.Sequential,
        torch.nn.Dropout,
        torch.nn.GELU,
        torch.nn.Identity,
        torch.nn.LayerNorm,
        torch.nn.Linear,
        torch.nn.RMSNorm,
    )
}
NOT_SAVED = ("args", "kwargs", "device", "dtype")  # arguments

MAX_BANKS = 2**24  # elements of a filterbank


def describe_module(module):
    """Class and constructor arguments of a module.

    Raises
    ------
    ValueError
        If its class is not in the table, or an argument is no plain value.
    """
    cls = type(module)
    if isinstance(module, PatchEmbedding):
        stem = None if module.stem is None else describe_module(module.stem)
        return {
            "class": "PatchEmbedding",
            "n_mels": module.n_mels,
            "embed_dim": module.embed_dim,
            "patch": [module.patch_frames, module.patch_bins],
            "stride": [module.stride_frames, module.stride_bins],
            "stem": stem,
        }
    if CLASSES.get(cls.__name__) is not cls:
        raise ValueError(
            f"config.json cannot describe a {cls.__module__}.{cls.__qualname__}."
        )
    description = {"class": cls.__name__}
    if cls is torch.nn.Sequential:
        description["layers"] = [describe_module(layer) for layer in module]
        return description
    if getattr(module, "norm_type", "sentence") != "sentence":
        raise ValueError(
            f"config.json cannot describe a {cls.__name__} with statistics."
        )
    for key, parameter in inspect.signature(cls).parameters.items():
        if key in NOT_SAVED:
            continue
        value = getattr(module, key, parameter.default)
        if isinstance(value, torch.nn.Module):
            value = describe_module(value)
        elif key == "bias":
            value = value is not None
        elif key == "normalized_shape":
            value = value[0] if len(value) == 1 else list(value)
        elif not isinstance(
            value, (bool, int, float, str, list, tuple, type(None))
        ):
            raise ValueError(
                f"config.json cannot hold {cls.__name__}'s {key}={value}."
            )
        description[key] = value
    return description


def build_modules(config, weights):
    """Builds the modules of a config.json with the tensors of its weights.

    Modules with weights are built without memory and get the tensors only if
    all fit, so that memory is taken for no more than the file contains.

    Raises
    ------
    ValueError, or another of ``LOADING_ERRORS``
        If the file does not describe a model, or one with other tensors.
    """
    missing = [key for key in NEEDED if key not in config]
    if missing:
        raise ValueError(f"{', '.join(missing)} is missing.")
    if config["embedding_model"].get("depth", 0) > len(weights):
        raise ValueError(f"{len(weights)} tensors are too few for the depth.")
    with torch.device("meta"):
        trained = torch.nn.ModuleDict(
            {name: _build_module(config[name]) for name in TRAINED}
        )
    _assign(trained, weights)
    _check_front_end(config["compute_features"], trained["embedding_model"])
    return {
        "compute_features": _build_module(config["compute_features"]),
        "mean_var_norm": _build_module(config["mean_var_norm"]),
        **trained,
    }


def _build_module(description):
    """A module, and those that are arguments of it, from its description."""
    arguments = dict(description)
    name = arguments.pop("class")
    if name not in CLASSES:
        raise ValueError(f"the class {str(name)[:80]!r} is unknown.")
    if name == "Sequential":
        layers = [_build_module(layer) for layer in arguments["layers"]]
        return torch.nn.Sequential(*layers)
    for key, value in arguments.items():
        if isinstance(value, dict):
            arguments[key] = _build_module(value)
    return CLASSES[name](**arguments)


def _assign(model, weights):
    """Makes the tensors of a file the parameters of modules without memory."""
    expected = model.state_dict()
    for name, tensor in weights.items():
        if tensor.shape != expected[name].shape:
            raise ValueError(
                f"{name} is {list(tensor.shape)}, but "
                f"{list(expected[name].shape)} in the model of config.json."
            )
    model.load_state_dict(
        {name: x.to(expected[name].dtype) for name, x in weights.items()},
        assign=True,
    )


def _check_front_end(arguments, encoder):
    """Raises a ValueError if features do not fit, or would be too large."""
    rate = arguments["sample_rate"]
    window = arguments.get("n_fft", 0)
    window += arguments.get("frame_length", 0) * rate / 1000
    shift = arguments.get("hop_length", 0)
    shift += arguments.get("frame_shift", 0) * rate / 1000
    if arguments["n_mels"] != encoder.n_mels:
        raise ValueError(
            f"compute_features has n_mels={arguments['n_mels']}, but "
            f"embedding_model needs n_mels={encoder.n_mels}."
        )
    if not 1 <= shift or not 2 <= window <= MAX_BANKS / encoder.n_mels:
        raise ValueError(
            f"compute_features has frames of {window:g} samples, {shift:g} "
            "apart."
        )
