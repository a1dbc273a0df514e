"""Reads and writes inference folders, each of which holds one trained model.

A folder holds its model twice. ``config.json``, ``model.safetensors`` and
``labels.csv``, with ``thresholds.csv`` if learned, are data alone: loading them
runs no code. ``hyperparams.yaml`` with one .ckpt file per module is what
SpeechBrain's ``from_hparams`` loads.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import io
import json
from pathlib import Path
from unicodedata import category

import ruamel.yaml
import torch

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.dataio.preprocess import AudioNormalizer
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.dataio.files import atomic_folder, write_csv, write_json
from speechbrain_fftp.inference import config, thresholds
from speechbrain_fftp.inference.config import NUMBERS, TRAINED
from speechbrain_fftp.pretrained import tensors

logger = get_logger(__name__)

FILES = ("config.json", "model.safetensors", "labels.csv")
REMEDY = "Use a complete inference folder, or export the model again."
YAML_HINT = " Its hyperparams.yaml can run code: only from_hparams reads it."

HEADER = """\
# Audio tagging model. Load it with AudioTagger.from_pretrained or from_hparams
# (speechbrain_fftp.inference), or with EncoderClassifier.from_hparams
# (speechbrain.inference.classifiers).
"""
# What inference needs besides the keys of the recipe.
FOOTER = """
audio_normalizer: !new:speechbrain.dataio.preprocess.AudioNormalizer
    sample_rate: !ref <sample_rate>

label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder

modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
    classifier: !ref <classifier>

pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <embedding_model>
        classifier: !ref <classifier>
        label_encoder: !ref <label_encoder>
"""


def load_folder(folder):
    """Reads a model from config.json, model.safetensors and labels.csv.

    Returns the ``MODULES``, on the CPU, and hparams: the numbers of
    config.json, ``label_encoder``, ``audio_normalizer`` and ``thresholds``, if
    any. Sizes are checked against the tensors before memory is allocated. The
    file that is missing, cannot be read, does not describe a model, or does not
    belong to the others is named by a FileNotFoundError or a ValueError.
    """
    config_file, weights_file, labels_file = (Path(folder) / n for n in FILES)
    for path in (config_file, weights_file, labels_file):
        if not path.is_file():
            hint = YAML_HINT * Path(folder, "hyperparams.yaml").is_file()
            raise FileNotFoundError(f"{path} is missing. {REMEDY}{hint}")
    try:
        path = labels_file
        labels = _read_labels(path)
        path = weights_file
        weights = tensors.read_tensors(path)
        path = config_file
        content = json.loads(tensors.read_text(path))
        modules, hparams = config.build_model(content, len(weights))
        path = weights_file
        _assign_tensors(modules, weights)
        path = config_file
        width = modules["embedding_model"].embed_dim
        n_classes = modules["classifier"](torch.zeros(1, 1, width)).shape[-1]
    except (OSError, *tensors.LOADING_ERRORS) as error:
        message = str(error)
        if str(path) not in message:
            message = f"{path} cannot be used: {error}"
        raise ValueError(f"{message} {REMEDY}") from error
    if len(labels) != n_classes:
        raise ValueError(
            f"{labels_file} has {len(labels)} labels, but the model has "
            f"{n_classes} classes. {REMEDY}"
        )
    hparams["thresholds"] = thresholds.read_thresholds(folder, labels)
    hparams["label_encoder"] = CategoricalEncoder()
    hparams["label_encoder"].update_from_iterable(labels)
    normalizer = AudioNormalizer(sample_rate=hparams["sample_rate"])
    return modules, {**hparams, "audio_normalizer": normalizer}


def _read_labels(path):
    """The labels of labels.csv, ordered by class."""
    text = tensors.read_text(path)
    rows = list(csv.reader(text.splitlines(keepends=True)))
    if rows[:1] != [["index", "label"]] or len(rows) < 2:
        raise ValueError(f"{path} must have the columns index and label.")
    for number, row in enumerate(rows[1:]):
        if len(row) != 2 or row[0] != str(number) or not row[1].strip():
            raise ValueError(
                f"{path}: expected the label of class {number}, found "
                f"{','.join(row)[:80]!r}."
            )
        check_label(row[1])
    labels = [label for _, label in rows[1:]]
    if len(set(labels)) < len(labels):
        raise ValueError(f"{path} has a duplicate label.")
    return labels


def check_label(label):
    """Raises a ValueError if a label does not fit into a line of text."""
    if any(category(c) in ("Cc", "Cs", "Zl", "Zp") for c in label):
        raise ValueError(f"{label[:80]!r} has control characters.")


def _assign_tensors(modules, weights):
    """Makes the tensors of a file the parameters of the modules."""
    model = torch.nn.ModuleDict({name: modules[name] for name in TRAINED})
    own = model.state_dict()
    tensors.check_names(weights, own, "the model of config.json")
    for name, tensor in weights.items():
        like = own[name].is_floating_point() == tensor.is_floating_point()
        if tensor.shape != own[name].shape or not like:
            raise ValueError(
                f"{name} is {list(tensor.shape)}, {tensor.dtype}, but "
                f"{list(own[name].shape)} in the model of config.json."
            )
    state = {name: x.to(own[name].dtype) for name, x in weights.items()}
    model.load_state_dict(state, assign=True)


def export_inference(
    hparams_file, modules, label_encoder, folder, single_label=False, learned=()
):
    """Writes an inference folder; one that exists is replaced when complete.

    ``hparams_file`` is the resolved yaml in the experiment's folder, and
    ``learned`` are rows of thresholds.csv, if any. If config.json cannot
    describe the modules, only ``hyperparams.yaml`` and its files are written,
    with a warning.
    """
    recipe = ruamel.yaml.YAML().load(Path(hparams_file))  # keeps the tags
    if missing := [key for key in config.NEEDED if key not in recipe]:
        raise ValueError(
            f"{hparams_file} lacks {', '.join(missing)}, which inference needs."
        )
    recipe = {key: recipe[key] for key in config.NEEDED}
    hparams = {name: recipe[name] for name in NUMBERS}
    hparams.update(label_encoder=label_encoder, single_label=single_label)
    with atomic_folder(folder, needed=2 * _num_bytes(modules)) as unfinished:
        _write_yaml_form(Path(unfinished), recipe, modules, hparams)
        try:
            if learned:
                thresholds.write_thresholds(unfinished, learned)
            _write_data_form(Path(unfinished), modules, hparams)
        except (ImportError, ValueError) as error:
            for name in (*FILES, thresholds.THRESHOLDS):
                Path(unfinished, name).unlink(missing_ok=True)
            logger.warning(
                "Only hyperparams.yaml and its weights are written, which "
                "AudioTagger.from_hparams loads, and no %s and %s: %s",
                *FILES[:2],
                error,
            )
    return Path(folder)


def _write_yaml_form(folder, recipe, modules, hparams):
    """Writes the files that ``from_hparams`` loads."""
    kept = io.StringIO()
    ruamel.yaml.YAML().dump(recipe, kept)
    lines = kept.getvalue().splitlines()
    lines = [line for line in lines if line and line[0] != "#"]  # headings
    text = HEADER + "\n".join(lines) + "\n" + FOOTER
    text += "\nsingle_label: True\n" * hparams["single_label"]
    (folder / "hyperparams.yaml").write_text(text, "utf-8")
    for name in TRAINED:
        state = {k: v.cpu() for k, v in modules[name].state_dict().items()}
        with open(folder / f"{name}.ckpt", "wb") as file:  # names a full disk
            torch.save(state, file)
    # For readers, and by the only name that Pretrainer finds beside the yaml
    for suffix in ("txt", "ckpt"):
        hparams["label_encoder"].save(folder / f"label_encoder.{suffix}")


def write_folder(folder, modules, hparams):
    """Writes a model as data alone; ValueError if that is impossible."""
    with atomic_folder(folder, needed=_num_bytes(modules)) as unfinished:
        _write_data_form(Path(unfinished), modules, hparams)


def _num_bytes(modules):
    """Size of the weights of a model."""
    return sum(p.nbytes for n in TRAINED for p in modules[n].parameters())


def _write_data_form(folder, modules, hparams):
    """Writes the files that ``load_folder`` reads, and checks that it can."""
    from safetensors.torch import save

    content = {name: hparams[name] for name in NUMBERS}
    for name in config.MODULES:
        content[name] = config.describe_module(modules[name], name)
    content.update({"single_label": True} if hparams["single_label"] else {})
    write_json(folder / "config.json", content)
    model = torch.nn.ModuleDict({name: modules[name] for name in TRAINED})
    weights = {k: v.cpu().contiguous() for k, v in model.state_dict().items()}
    # Not save_file: only the owner could read its file.
    (folder / "model.safetensors").write_bytes(save(weights))
    labels = sorted(hparams["label_encoder"].ind2lab.items())
    write_csv(folder / "labels.csv", ("index", "label"), labels)
    load_folder(folder)
