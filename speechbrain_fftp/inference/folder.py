"""Models as data: a folder that is read without running anything in it.

``config.json`` says of which classes the model is made, from a fixed table,
and with which numbers; ``model.safetensors`` holds the parameters and
``labels.csv`` the labels.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import inspect
import json
import math
from pathlib import Path

import torch

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.dataio.preprocess import AudioNormalizer
from speechbrain_fftp.dataio.audio import MAX_RATE, MIN_RATE
from speechbrain_fftp.lobes.features import DatasetNormalization, KaldiFbank
from speechbrain_fftp.lobes.models.AST import AST
from speechbrain_fftp.lobes.models.AuM import AuM
from speechbrain_fftp.nnet.patching import FFTPEmbedding, SquarePatchEmbedding
from speechbrain_fftp.utils.pretrained.tensors import (
    UNREADABLE,
    check_names,
    read_tensors,
)

FILES = ("config.json", "model.safetensors", "labels.csv")
REMEDY = "Take a whole inference folder, or export the model again."

LAYERS = ("Dropout", "GELU", "Identity", "LayerNorm", "Linear", "RMSNorm")
LAYERS = {name: getattr(torch.nn, name) for name in LAYERS}
# What each part of a model can be.
PARTS = {
    "compute_features": {"KaldiFbank": KaldiFbank},
    "mean_var_norm": {"DatasetNormalization": DatasetNormalization},
    "embedding_model": {"AST": AST, "AuM": AuM},
    "embedding": {
        "FFTPEmbedding": FFTPEmbedding,
        "SquarePatchEmbedding": SquarePatchEmbedding,
    },
    "classifier": {"Sequential": torch.nn.Sequential, **LAYERS},
    "layers": LAYERS,
}
MODULES = ("compute_features", "mean_var_norm", "embedding_model", "classifier")
TRAINED = ("embedding_model", "classifier")
NUMBERS = {"sample_rate": (MIN_RATE, MAX_RATE), "max_frames": (1, 2**20)}

MAX_SIZE = 2**20  # of any whole number of the model
MAX_TEXT = 2**24  # bytes of config.json and of labels.csv
MAX_BANKS = 2**24  # numbers of the filterbank


def load_folder(folder):
    """Reads a model from config.json, model.safetensors and labels.csv.

    Sizes are checked against the tensors before they take memory.

    Arguments
    ---------
    folder : str
        The folder.

    Returns
    -------
    modules : dict of torch.nn.Module
        ``compute_features``, ``mean_var_norm``, ``embedding_model`` and
        ``classifier``, on the CPU.
    hparams : dict
        ``sample_rate``, ``max_frames``, ``single_label``, ``label_encoder``
        and ``audio_normalizer``.

    Raises
    ------
    FileNotFoundError
        If one of the files is missing.
    ValueError
        If one cannot be read or says what no model is, or if they do not fit
        together. The message names the file.

    Example
    -------
    >>> folder = getfixture("tmpdir")
    >>> _ = (folder / "config.json").write("{}")
    >>> load_folder(folder)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    FileNotFoundError: ...model.safetensors is missing. Take a whole ...
    """
    paths = {name: Path(folder) / name for name in FILES}
    try:
        for path in paths.values():
            if not path.is_file():
                raise FileNotFoundError(f"{path} is missing. {REMEDY}")
        labels = _read_labels(paths["labels.csv"])
        tensors = read_tensors(paths["model.safetensors"])
        config = json.loads(_text(paths["config.json"]))
    except FileNotFoundError:
        raise
    except (OSError, *UNREADABLE) as error:
        message = str(error)
        if str(folder) not in message:
            message = f"config.json in {folder} cannot be read: {error}"
        raise ValueError(f"{message} {REMEDY}") from error
    path = paths["config.json"]
    try:
        modules, hparams = _build_model(config, len(tensors))
        path = paths["model.safetensors"]
        _fill(modules, tensors)
        path = paths["config.json"]
        classes = _count_classes(modules)
    except UNREADABLE as error:
        raise ValueError(f"{path}: {error} {REMEDY}") from error
    if len(labels) != classes:
        raise ValueError(
            f"{paths['labels.csv']} has {len(labels)} labels, but the model "
            f"tells {classes} classes apart. {REMEDY}"
        )
    encoder = CategoricalEncoder()
    encoder.update_from_iterable(labels)
    hparams["label_encoder"] = encoder
    normalizer = AudioNormalizer(sample_rate=hparams["sample_rate"])
    return modules, {**hparams, "audio_normalizer": normalizer}


def _text(path):
    """The content of a text file."""
    if path.stat().st_size > MAX_TEXT:
        raise ValueError(f"{path} has more than {MAX_TEXT} bytes.")
    return path.read_text("utf-8")


def _read_labels(path):
    """The labels of labels.csv, by class."""
    try:
        rows = list(csv.reader(_text(path).splitlines(keepends=True)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read: {error}.") from error
    if rows[:1] != [["index", "label"]] or len(rows) < 2:
        raise ValueError(f"{path} is no table of index and label.")
    labels = []
    for number, row in enumerate(rows[1:]):
        if len(row) != 2 or row[0] != str(number) or not row[1].strip():
            raise ValueError(
                f"{path}: instead of the label of class {number} there is "
                f"{','.join(row)[:80]!r}."
            )
        if any(ord(c) < 32 or 127 <= ord(c) < 160 for c in row[1]):
            raise ValueError(f"{path}: {row[1]!r} has control characters.")
        labels.append(row[1])
    if len(set(labels)) < len(labels):
        raise ValueError(f"{path} has a label twice.")
    return labels


def _build_model(config, n_tensors):
    """The modules, those with parameters on the meta device, and numbers."""
    if not isinstance(config, dict):
        raise ValueError("it is no JSON object.")
    missing = [key for key in (*MODULES, *NUMBERS) if key not in config]
    unknown = sorted(set(config) - {*MODULES, *NUMBERS, "single_label"})
    if missing or unknown:
        raise ValueError(f"missing: {missing}, unknown: {unknown}.")
    for name, (low, high) in NUMBERS.items():
        if type(config[name]) is not int or not low <= config[name] <= high:
            raise ValueError(
                f"{name} is {config[name]!r}, no whole number in {low}..{high}."
            )
    if not isinstance(config.get("single_label", False), bool):
        raise ValueError("single_label is neither true nor false.")
    modules = {}
    for name in ("compute_features", "mean_var_norm"):
        modules[name] = _build(config[name], name, n_tensors)
    with torch.device("meta"), _NoInitialisation():  # takes no memory
        for name in TRAINED:
            modules[name] = _build(config[name], name, n_tensors)
    fbank, embedding = modules["compute_features"], modules["embedding_model"]
    bins, wanted = fbank.banks.shape[1], embedding.embedding.n_mels
    if bins != wanted:
        raise ValueError(
            f"compute_features gives n_mels={bins}, but embedding_model takes "
            f"n_mels={wanted}."
        )
    if (
        min(fbank.shift, fbank.window - 1) < 1
        or modules["mean_var_norm"].std == 0
    ):
        raise ValueError("frame_length, frame_shift and std must not vanish.")
    hparams = {name: config[name] for name in NUMBERS}
    hparams["single_label"] = config.get("single_label", False)
    return modules, hparams


class _NoInitialisation(torch.overrides.TorchFunctionMode):
    """Leaves out what takes seconds of imports on the meta device.

    They are parts of ``torch.nn.init.trunc_normal_``, of which nothing is kept.
    """

    skipped = (torch.Tensor.erfinv_, torch.Tensor.clamp_)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Calls a function of torch, or not."""
        if func in self.skipped:
            return args[0]
        return func(*args, **(kwargs or {}))


def _build(config, part, n_tensors):
    """One module of the table, from its class and its arguments."""
    name = config.get("class") if isinstance(config, dict) else config
    if not isinstance(config, dict) or str(name) not in PARTS[part]:
        raise ValueError(
            f"{part}: the class is {str(name)[:80]!r}, not one of "
            f"{', '.join(PARTS[part])}."
        )
    cls = PARTS[part][str(name)]
    values = {key: value for key, value in config.items() if key != "class"}
    if cls is torch.nn.Sequential:
        layers = values.pop("layers", None)
        if values or not isinstance(layers, list) or len(layers) > 100:
            raise ValueError(f"{part}: Sequential takes a list of layers.")
        return cls(*(_build(layer, "layers", n_tensors) for layer in layers))
    known = _parameters(cls)
    for key, value in values.items():
        if key not in known:
            raise ValueError(
                f"{part}: {name} has no argument {key[:80]!r}, only "
                f"{', '.join(known) or 'none'}."
            )
        if key == "embedding":
            values[key] = _build(value, key, n_tensors)
        elif not _plausible(value, known[key]):
            raise ValueError(f"{part}: {key} cannot be {str(value)[:80]!r}.")
    given = {**known, **values}
    if cls in (AST, AuM) and given["depth"] > n_tensors:
        raise ValueError(
            f"{part}: {n_tensors} tensors are not those of {given['depth']} blocks."
        )
    if cls is KaldiFbank:
        window = given["sample_rate"] * max(given["frame_length"], 1) / 1000
        if window * given["n_mels"] > MAX_BANKS:
            raise ValueError(f"{part}: {values} make no filterbank.")
    return cls(**values)


def _parameters(cls):
    """Names of a class's own arguments, each with its default."""
    plain = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = inspect.signature(cls).parameters.values()
    return {
        parameter.name: parameter.default
        for parameter in parameters
        if parameter.kind == plain and parameter.name not in ("device", "dtype")
    }


def _plausible(value, default):
    """Whether an argument is of its default's kind, and not absurd."""
    if isinstance(default, bool):
        return isinstance(value, bool)
    if isinstance(default, str):  # the direction of AuM may be False
        return value is False or isinstance(value, str)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value is None and default is None
    if isinstance(default, float) or default is None:
        return math.isfinite(value) and abs(value) <= MAX_SIZE
    return isinstance(value, int) and 0 <= value <= MAX_SIZE


def _count_classes(modules):
    """How many classes the classifier tells apart."""
    width = modules["embedding_model"].embedding.proj.out_channels
    with torch.no_grad():
        return modules["classifier"](torch.zeros(1, 1, width)).shape[-1]


def _fill(modules, tensors):
    """Makes the tensors the parameters of the modules."""
    own = {
        f"{name}.{key}": value
        for name in TRAINED
        for key, value in modules[name].state_dict().items()
    }
    check_names(tensors, own, "the model of config.json")
    for name, tensor in tensors.items():
        if tensor.shape != own[name].shape or not tensor.is_floating_point():
            raise ValueError(
                f"{name} is {list(tensor.shape)}, {tensor.dtype}, but in the "
                f"model of config.json {list(own[name].shape)}."
            )
    for name in TRAINED:
        start = f"{name}."
        state = {
            key[len(start) :]: value.float()
            for key, value in tensors.items()
            if key.startswith(start)
        }
        modules[name].load_state_dict(state, assign=True)
