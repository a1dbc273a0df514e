"""Describes the modules of a model in config.json and builds them again.

The classes come from a fixed table and the arguments are checked, so that a
foreign file can neither run code nor claim memory that its weights do not need.

Authors
 * The speechbrain_fftp authors 2026
"""

import inspect
import math

import torch

from speechbrain.processing.features import InputNormalization
from speechbrain_fftp.dataio.audio import MAX_RATE, MIN_RATE
from speechbrain_fftp.lobes import features
from speechbrain_fftp.lobes.frame_classifier import (
    AttentionPooling,
    FrameClassifier,
    LinearSoftmaxPooling,
    MaxPooling,
    MeanPooling,
)
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.lobes.models.CED import CED
from speechbrain_fftp.lobes.models.ConvNeXt1d import ConvNeXt1d
from speechbrain_fftp.lobes.tagger import MODULES
from speechbrain_fftp.nnet.patching import (
    FFTPEmbedding,
    PatchEmbedding,
    SquarePatchEmbedding,
)

TRAINED = ("embedding_model", "classifier")  # the modules with weights
NUMBERS = {"sample_rate": (MIN_RATE, MAX_RATE), "max_frames": (1, 2**20)}
NEEDED = (*NUMBERS, *MODULES)

ENCODERS = [AST, AuM, CED, ConvNeXt1d]
POOLINGS = [LinearSoftmaxPooling, MaxPooling, MeanPooling, AttentionPooling]
LAYERS = ("Dropout", "GELU", "Identity", "LayerNorm", "Linear", "RMSNorm")
LAYERS = [getattr(torch.nn, name) for name in LAYERS]
# The classes that each part of a model can have, by name.
CLASSES = {
    "compute_features": [features.KaldiFbank, features.MelDecibels],
    "mean_var_norm": [features.DatasetNormalization, InputNormalization],
    "embedding_model": ENCODERS,
    "embedding": [FFTPEmbedding, SquarePatchEmbedding, PatchEmbedding],
    "classifier": [torch.nn.Sequential, FrameClassifier, *LAYERS],
    "pooling": POOLINGS,
    "layers": LAYERS,
}
CLASSES = {k: {cls.__name__: cls for cls in v} for k, v in CLASSES.items()}

MAX_NUMBER = 2**20  # absolute value of any argument
MAX_LAYERS = 100  # of a Sequential
MAX_BANKS = 2**24  # elements of the filterbank matrix


def describe_module(module, part):
    """Class and constructor arguments of a module, a part of ``CLASSES``."""
    cls = type(module)
    has_statistics = getattr(module, "norm_type", "sentence") != "sentence"
    if CLASSES[part].get(cls.__name__) is not cls or has_statistics:
        raise ValueError(
            f"config.json cannot describe {part}, a "
            f"{cls.__module__}.{cls.__qualname__}."
        )
    described = {"class": cls.__name__}
    if cls is torch.nn.Sequential:
        described["layers"] = [
            describe_module(layer, "layers") for layer in module
        ]
        return described
    for key, default in _parameters(cls).items():
        value = getattr(module, key, default)
        if isinstance(value, torch.nn.Module):
            described[key] = describe_module(value, key)
            continue
        if key == "bias":
            value = value is not None
        elif key == "normalized_shape" and len(value) == 1:
            value = value[0]
        if not _is_plausible(value, default):
            raise ValueError(f"config.json cannot hold {part}'s {key}={value}.")
        described[key] = value
    return described


def build_model(config, n_tensors):
    """Modules and numbers of a config.json, which may come from anyone.

    Modules with weights are on the meta device; their depth is limited by the
    number of tensors in the file of weights.
    """
    if not isinstance(config, dict):
        raise ValueError("the file does not hold a JSON object.")
    missing = ", ".join(key for key in NEEDED if key not in config)
    unknown = ", ".join(sorted(set(config) - {*NEEDED, "single_label"}))
    if missing or unknown:
        missing, unknown = missing or "none", unknown or "none"
        raise ValueError(f"missing: {missing}; unknown: {unknown}.")
    for name, (low, high) in NUMBERS.items():
        if type(config[name]) is not int or not low <= config[name] <= high:
            raise ValueError(
                f"{name} must be an integer from {low} to {high}, not "
                f"{config[name]!r}."
            )
    hparams = {name: config[name] for name in NUMBERS}
    hparams["single_label"] = config.get("single_label", False)
    if not isinstance(hparams["single_label"], bool):
        raise ValueError("single_label must be true or false.")
    modules = {}
    for name in ("compute_features", "mean_var_norm"):
        modules[name] = _build_module(config[name], name, n_tensors)
    with torch.device("meta"), _NoInitialisation():  # takes no memory
        for name in TRAINED:
            modules[name] = _build_module(config[name], name, n_tensors)
    fbank, encoder = modules["compute_features"], modules["embedding_model"]
    if fbank.n_mels != encoder.n_mels:
        raise ValueError(
            f"compute_features has n_mels={fbank.n_mels}, but embedding_model "
            f"needs n_mels={encoder.n_mels}."
        )
    return modules, hparams


class _NoInitialisation(torch.overrides.TorchFunctionMode):
    """Skips two operations whose first use on the meta device takes seconds.

    Both belong to ``torch.nn.init.trunc_normal_``, whose result is not needed.
    """

    skipped = (torch.Tensor.erfinv_, torch.Tensor.clamp_)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in self.skipped:
            return args[0]
        return func(*args, **(kwargs or {}))


def _build_module(config, part, n_tensors):
    """One module, from its class in the table and its arguments."""
    name = config.get("class") if isinstance(config, dict) else config
    if not isinstance(config, dict) or str(name) not in CLASSES[part]:
        raise ValueError(
            f"{part}: the class is {str(name)[:80]!r}, not one of "
            f"{', '.join(CLASSES[part])}."
        )
    cls = CLASSES[part][str(name)]
    values = {key: value for key, value in config.items() if key != "class"}
    if cls is torch.nn.Sequential:
        layers = values.pop("layers", None)
        if values or not isinstance(layers, list) or len(layers) > MAX_LAYERS:
            raise ValueError(f"{part}: Sequential takes a list of layers.")
        return cls(*(_build_module(x, "layers", n_tensors) for x in layers))
    known = _parameters(cls)
    for key, value in values.items():
        if key not in known:
            raise ValueError(
                f"{part}: {name} has no argument {key[:80]!r}, only "
                f"{', '.join(known) or 'none'}."
            )
        if key == "embedding" or (key in CLASSES and isinstance(value, dict)):
            values[key] = _build_module(value, key, n_tensors)
        elif not _is_plausible(value, known[key]):
            raise ValueError(f"{part}: {key} cannot be {str(value)[:80]!r}.")
    _check_sizes(cls, {**known, **values}, part, n_tensors)
    return cls(**values)


def _check_sizes(cls, values, part, n_tensors):
    """Refuses what would take much memory, or divide by zero."""
    if cls in ENCODERS and (depth := values["depth"]) > n_tensors:
        raise ValueError(
            f"{part}: {n_tensors} tensors are too few for depth={depth}."
        )
    if cls is features.DatasetNormalization and values["std"] == 0:
        raise ValueError(f"{part}: std must not be 0.")
    if cls is InputNormalization and values["norm_type"] != "sentence":
        raise ValueError(f"{part}: norm_type must be sentence.")
    elements = 0
    if cls is features.KaldiFbank:
        samples_per_ms = values["sample_rate"] / 1000
        window = samples_per_ms * values["frame_length"]
        if min(samples_per_ms * values["frame_shift"], window - 1) < 1:
            raise ValueError(
                f"{part}: frame_shift must be at least one sample, "
                "frame_length at least two."
            )
        elements = window * values["n_mels"]
    elif cls is features.MelDecibels:
        for key in ("sample_rate", "n_mels", "n_fft", "hop_length"):
            if values[key] < 1:
                raise ValueError(f"{part}: {key} must be positive.")
        elements = values["n_fft"] * values["n_mels"]
    if elements > MAX_BANKS:
        raise ValueError(
            f"{part}: the filterbank has more than {MAX_BANKS} elements."
        )


def _parameters(cls):
    """Names of a class's own arguments, each with its default."""
    parameters = inspect.signature(cls).parameters.values()
    others = ("args", "kwargs", "device", "dtype")
    return {x.name: x.default for x in parameters if x.name not in others}


def _is_plausible(value, default):
    """Whether an argument has its default's type and is not absurdly large."""
    if isinstance(default, bool):
        return isinstance(value, bool)
    if isinstance(default, str):  # AuM's bidirectional may be False
        return value is False or isinstance(value, str)
    if isinstance(value, list):  # strides, patch and stride of an embedding
        numbers = (type(x) is int and 0 < x <= MAX_NUMBER for x in value)
        may_be_list = default in (None, inspect.Parameter.empty)
        return may_be_list and len(value) <= MAX_LAYERS and all(numbers)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value is None and default is None
    if isinstance(default, float) or default is None:
        return math.isfinite(value) and abs(value) <= MAX_NUMBER
    return isinstance(value, int) and 0 <= value <= MAX_NUMBER
