"""Reads and writes inference folders, each of which holds one trained model.

``config.json``, ``model.safetensors`` and ``labels.csv``, with
``thresholds.csv`` if learned, are data alone: loading them runs no code. The
recipes write ``hyperparams.yaml`` and its weights beside them, which
SpeechBrain's ``EncoderClassifier.from_hparams`` loads.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
from pathlib import Path
from unicodedata import category

import torch

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.dataio.preprocess import AudioNormalizer
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.files import atomic_folder, write_csv, write_json
from speechbrain_fftp.inference.config import (
    MODULES,
    NUMBERS,
    TRAINED,
    build_modules,
    describe_module,
)
from speechbrain_fftp.inference.thresholds import (
    read_thresholds,
    write_thresholds,
)
from speechbrain_fftp.pretrained.tensors import (
    LOADING_ERRORS,
    read_json_file,
    read_tensors,
    read_text,
)

logger = get_logger(__name__)

FILES = ("config.json", "model.safetensors", "labels.csv")
REMEDY = "Use a complete inference folder, or export the model again."
YAML_HINT = (
    "Its hyperparams.yaml is for SpeechBrain's EncoderClassifier.from_hparams."
)


def load_folder(folder):
    """Reads a model from config.json, model.safetensors and labels.csv.

    Returns
    -------
    modules : dict
        The ``MODULES`` of a ``Tagger``, on the CPU.
    hparams : dict
        The numbers of config.json, ``label_encoder``, ``audio_normalizer`` and
        ``thresholds``, which are None unless learned.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a file is damaged, does not describe a model, or does not belong to
        the others; the file is named.
    """
    folder = Path(folder)
    for name in FILES:
        if not (folder / name).is_file():
            has_yaml = (folder / "hyperparams.yaml").is_file()
            hint = YAML_HINT if has_yaml else ""
            raise FileNotFoundError(
                f"{folder / name} is missing. {REMEDY} {hint}".rstrip()
            )
    try:
        return _read_folder(folder)
    except (OSError, *LOADING_ERRORS) as error:
        message = str(error)
        if str(folder) not in message:
            message = f"{folder / 'config.json'} cannot be used: {message}"
        raise ValueError(f"{message} {REMEDY}") from error


def _read_folder(folder):
    """What ``load_folder`` returns, from files that are there."""
    labels = _read_labels(folder / "labels.csv")
    weights = read_tensors(folder / "model.safetensors")
    config = read_json_file(folder / "config.json")
    modules = build_modules(config, weights)
    for name in NUMBERS:
        if type(config[name]) is not int or config[name] < 1:
            raise ValueError(f"{name} must be a whole number above 0.")
    n_classes = 0
    if has_classes(modules["classifier"]):
        tokens = torch.zeros(1, 1, modules["embedding_model"].embed_dim)
        n_classes = modules["classifier"](tokens).shape[-1]
    if len(labels) != n_classes:
        raise ValueError(
            f"{folder / 'labels.csv'} has {len(labels)} labels, but the model "
            f"has {n_classes} classes."
        )
    label_encoder = CategoricalEncoder()
    label_encoder.update_from_iterable(labels)
    hparams = {name: config[name] for name in NUMBERS}
    return modules, {
        **hparams,
        "single_label": bool(config.get("single_label", False)),
        "label_encoder": label_encoder,
        "audio_normalizer": AudioNormalizer(hparams["sample_rate"]),
        "thresholds": read_thresholds(folder, labels),
    }


def _read_labels(path):
    """The labels of labels.csv, ordered by class."""
    try:
        header, *rows = csv.reader(read_text(path).splitlines(keepends=True))
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{path} cannot be used: {error}") from error
    if header != ["index", "label"]:
        raise ValueError(f"{path} must have the columns index and label.")
    for number, row in enumerate(rows):
        if len(row) != 2 or row[0] != str(number) or not row[1].strip():
            raise ValueError(
                f"{path}: expected the label of class {number}, found "
                f"{','.join(row)[:80]!r}."
            )
        if has_control_characters(row[1]):
            raise ValueError(f"{path}: {row[1][:80]!r} has control characters.")
    labels = [label for _, label in rows]
    if len(set(labels)) < len(labels):
        raise ValueError(f"{path} has a duplicate label.")
    return labels


def has_classes(classifier):
    """Whether a model classifies: an encoder alone has an ``Identity``."""
    return not isinstance(classifier, torch.nn.Identity)


def has_control_characters(label):
    """Whether a label does not fit into a line of text."""
    return any(category(c) in ("Cc", "Cs", "Zl", "Zp") for c in label)


def export_inference(
    folder,
    modules,
    label_encoder,
    sample_rate,
    max_frames,
    single_label=False,
    thresholds=(),
):
    """Adds a trained model as data alone to an inference folder.

    If config.json cannot describe the modules, nothing is written, with a
    warning. ``thresholds`` are rows of thresholds.csv, if any.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    hparams = {
        "sample_rate": sample_rate,
        "max_frames": max_frames,
        "label_encoder": label_encoder,
        "single_label": single_label,
    }
    try:
        _write_data_form(folder, modules, hparams)
    except (ImportError, ValueError) as error:
        for name in FILES:
            (folder / name).unlink(missing_ok=True)
        logger.warning(
            "%s can be loaded by EncoderClassifier, but not by AudioTagger: %s",
            folder,
            error,
        )
        return
    if len(thresholds) > 0:
        write_thresholds(folder, thresholds)


def write_folder(folder, modules, hparams):
    """Writes a model as data alone; a ValueError if that is impossible."""
    with atomic_folder(folder) as unfinished:
        _write_data_form(Path(unfinished), modules, hparams)


def _write_data_form(folder, modules, hparams):
    """Writes the files that ``load_folder`` reads, and checks that it can."""
    from safetensors.torch import save

    config = {name: hparams[name] for name in NUMBERS}
    for name in MODULES:
        config[name] = describe_module(modules[name])
    if hparams["single_label"]:
        config["single_label"] = True
    write_json(folder / "config.json", config)
    model = torch.nn.ModuleDict({name: modules[name] for name in TRAINED})
    weights = {k: v.cpu().contiguous() for k, v in model.state_dict().items()}
    # Not save_file: only the owner could read its file.
    (folder / "model.safetensors").write_bytes(save(weights))
    labels = sorted(hparams["label_encoder"].ind2lab.items())
    write_csv(folder / "labels.csv", ("index", "label"), labels)
    load_folder(folder)
