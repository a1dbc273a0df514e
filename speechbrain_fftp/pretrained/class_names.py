"""Names of the classes of published models.

Authors
 * The speechbrain_fftp authors 2026
"""

import logging

import torch

from speechbrain_fftp.datasets.audioset import (
    complete_names,
    read_classes,
    read_id2label,
)

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
    id2label = checkpoint.config.get("id2label")
    if id2label is not None:
        names = read_id2label(
            id2label, n_classes, checkpoint.path / "config.json"
        )
        return complete_names(names)
    known = list(read_classes().values())
    if family.class_names:
        known = family.class_names()
    if n_classes == len(known):
        return known
    logger.warning(
        "%s does not name its classes: they are called class 0, class 1, ... "
        "Give their names with --labels, and the mean and standard deviation "
        "of its features with --mean and --std if they are not AudioSet's.",
        checkpoint.path,
    )
    return [f"class {number}" for number in range(n_classes)]
