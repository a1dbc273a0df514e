"""Loads models as taggers: inference folders and published models.

Authors
 * The speechbrain_fftp authors 2026
"""

from collections import Counter
from pathlib import Path

import torch

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.datasets.audioset.lists import read_classes
from speechbrain_fftp.inference.folder import (
    has_control_characters,
    load_folder,
)
from speechbrain_fftp.pretrained.families import (
    build_modules,
    find_family,
    load_front_end,
)
from speechbrain_fftp.pretrained.tensors import read_checkpoint, read_json_file

logger = get_logger(__name__)


def load_model(path: Path) -> tuple[dict, dict]:
    """Loads an inference folder or a published model from a path on disk.

    Returns
    -------
    modules, hparams : dict
        See ``load_folder``.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a file is damaged or is not of a model that is known.
    """
    if not _is_published(path):
        return load_folder(path)
    checkpoint = read_checkpoint(path)
    family = find_family(checkpoint)
    encoder, classifier = build_modules(family, checkpoint)
    front_end = load_front_end(family, encoder, checkpoint)
    problem_type = checkpoint.config.get("problem_type")
    labels = CategoricalEncoder()
    labels.update_from_iterable(
        _class_names(path, checkpoint, classifier, family)
    )
    modules = {
        "compute_features": front_end.compute_features,
        "mean_var_norm": front_end.mean_var_norm,
        "embedding_model": encoder,
        "classifier": classifier,
    }
    hparams = {
        "sample_rate": front_end.compute_features.sample_rate,
        "max_frames": front_end.max_frames,
        "single_label": problem_type == "single_label_classification",
        "label_encoder": labels,
    }
    return modules, hparams


def _is_published(path):
    """Whether a path is a published model, not an inference folder."""
    if path.is_file():
        return True
    if (path / "labels.csv").is_file() or not (path / "config.json").is_file():
        return False
    return "model_type" in read_json_file(path / "config.json")


def _class_names(path, checkpoint, classifier, family):
    """Distinct names of the classes of a published model.

    No names without a classifier. Without names in config.json, they are the
    family's, such as AudioSet's 527, if their number is right; others are
    numbered.
    """
    layers = [x for x in classifier.modules() if isinstance(x, torch.nn.Linear)]
    if not layers:
        return []
    n_classes = layers[-1].out_features
    audioset = list(read_classes("").values())
    names = checkpoint.config.get("id2label")
    if names is not None:
        try:
            return _complete_names(_check_names(names, n_classes), audioset)
        except ValueError as error:
            raise ValueError(
                f"{checkpoint.path / 'config.json'}: {error}"
            ) from error
    known = family.class_names() if family.class_names else audioset
    if n_classes == len(known):
        return known
    logger.warning(
        "%s does not name its classes: they are called class 0, class 1, ... "
        "Import it and write their names into labels.csv. If it is a file, the "
        "mean and standard deviation of AudioSet's features are used: correct "
        "them in config.json if that is wrong.",
        path,
    )
    return [f"class {number}" for number in range(n_classes)]


def _check_names(id2label, n_classes):
    """The names of an ``id2label`` in order, or a ValueError."""
    numbers = [str(number) for number in range(n_classes)]
    if not isinstance(id2label, dict) or set(id2label) != set(numbers):
        raise ValueError(f"id2label must name {n_classes} classes by number.")
    names = [id2label[number] for number in numbers]
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"id2label holds {str(name)[:80]!r}, not a name.")
        if has_control_characters(name):
            raise ValueError(f"id2label: {name[:80]!r} has control characters.")
    return names


def _complete_names(names, audioset):
    """Completes AudioSet's names that end at a comma; makes others distinct."""
    if _before_commas(names) == _before_commas(audioset):
        return audioset
    while len(counts := Counter(names)) < len(names):  # "a", "a" and "a (1)"
        names = [
            f"{name} ({number})" if counts[name] > 1 else name
            for number, name in enumerate(names)
        ]
    return names


def _before_commas(names):
    """The part of each name before its first comma."""
    return [name.partition(",")[0] for name in names]
