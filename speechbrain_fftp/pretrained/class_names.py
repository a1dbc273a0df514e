"""Names of the classes of published models.

Authors
 * The speechbrain_fftp authors 2026
"""

import logging
from collections import Counter

import torch

from speechbrain_fftp.dataio.errors import InputError
from speechbrain_fftp.datasets.audioset import read_classes

logger = logging.getLogger(__name__)


def classifier_size(classifier):
    """The number of a classifier's outputs; 0 without a classifier."""
    layers = [x for x in classifier.modules() if isinstance(x, torch.nn.Linear)]
    return layers[-1].out_features if layers else 0


def published_names(checkpoint, n_classes, family):
    """Distinct names of the classes of a published model.

    Without names in config.json, the family's names are used, such as
    AudioSet's 527, if their number fits; otherwise, classes are numbered.
    """
    if n_classes == 0:
        return []
    audioset = list(read_classes().values())
    id2label = checkpoint.config.get("id2label")
    if id2label is not None:
        names = read_id2label(
            id2label, n_classes, checkpoint.path / "config.json"
        )
        return complete_names(names, audioset)
    known = family.class_names() if family.class_names else audioset
    if n_classes == len(known):
        return known
    logger.warning(
        "%s does not name its classes: they are called class 0, class 1, ... "
        "Give their names with --labels, and the mean and standard deviation "
        "of its features with --mean and --std if they are not AudioSet's.",
        checkpoint.path,
    )
    return [f"class {number}" for number in range(n_classes)]


def read_id2label(id2label, n_classes, path):
    """The names of ``id2label`` of a config.json, in order."""
    numbers = [str(number) for number in range(n_classes)]
    if not isinstance(id2label, dict) or set(id2label) != set(numbers):
        raise InputError(
            f"{path}: id2label must map 0 to {n_classes - 1} to class names."
        )
    return [id2label[number] for number in numbers]


def complete_names(names, audioset):
    """Completes AudioSet's names cut at a comma, and makes names distinct."""
    if before_commas(names) == before_commas(audioset):
        return audioset
    while len(counts := Counter(names)) < len(names):  # "a", "a" and "a (1)"
        names = [
            f"{name} ({number})" if counts[name] > 1 else name
            for number, name in enumerate(names)
        ]
    return names


def before_commas(names):
    """The part of each name before its first comma."""
    return [name.partition(",")[0] for name in names]
