"""Converts published checkpoints to model.onnx.

Authors
 * The speechbrain_fftp authors 2026
"""

import logging
from pathlib import Path

from fftp_tag.data.audioset import complete_names, read_classes, read_id2label
from fftp_tag.errors import InputError
from fftp_tag.model.hub import find_checkpoint
from speechbrain_fftp.onnx.export import ExportError, export_onnx
from speechbrain_fftp.pretrained import ast
from speechbrain_fftp.pretrained.families import build_modules, find_family
from speechbrain_fftp.pretrained.tensors import read_checkpoint

logger = logging.getLogger(__name__)


def convert_checkpoint(
    source, path, labels=None, mean=None, std=None, single_label=None
):
    """Writes a published checkpoint as a ``model.onnx``, see ``export_onnx``.

    Arguments
    ---------
    source : str or Path
        A file or folder, a name in ``RELEASES``, or a hub id
        ``owner/name[@revision]``.
    path : str or Path
        The file to write.
    labels : list of str, optional
        Names of the classes; by default, the checkpoint's or AudioSet's.
    mean, std : float, optional
        Mean and standard deviation of the features of its training data; by
        default, the checkpoint's, or AudioSet's.
    single_label : bool, optional
        Whether a clip has exactly one label; by default, the checkpoint's
        setting.

    Returns
    -------
    Path
        The path of the file.

    Raises
    ------
    FileNotFoundError
        If there is no such checkpoint.
    InputError
        If a file is damaged or not of a known family, the number of labels is
        wrong, or the model cannot be exported.
    """
    found = find_checkpoint(source)
    if found.is_dir() and found != Path(
        source
    ):  # a folder in the cache, named after the commit
        logger.info("%s is revision %s of the hub", source, found.name)
    checkpoint = read_checkpoint(found)
    family = find_family(checkpoint)
    if family.is_image:
        raise InputError(
            f"{source} is a {family.name}, a model of images, which cannot tag "
            "sounds: a training can start from it, by --pretrained."
        )
    encoder, classifier = build_modules(family, checkpoint)
    *_, last = classifier.modules()
    n_classes = last.out_features
    if labels is None:
        labels = published_names(checkpoint, n_classes)
    elif len(set(labels)) != n_classes or len(labels) != n_classes:
        raise InputError(
            f"{source} has {n_classes} classes: give {n_classes} distinct "
            f"names, not {len(labels)} with {len(set(labels))} distinct ones."
        )
    if single_label is None:
        problem = checkpoint.config.get("problem_type")
        single_label = problem == "single_label_classification"
    if family.write is not None:
        if mean is not None:
            raise InputError(
                f"{source} is a model of the family {family.name}, whose features "
                "are known: leave mean and std out."
            )
        return family.write(encoder, classifier, labels, single_label, path)
    compute_features, mean_var_norm = ast.front_end(checkpoint)
    if mean is not None:
        mean_var_norm.mean, mean_var_norm.std = mean, std
    try:
        return export_onnx(
            path,
            {
                "compute_features": compute_features,
                "mean_var_norm": mean_var_norm,
                "embedding_model": encoder,
                "classifier": classifier,
            },
            labels,
            sample_rate=compute_features.sample_rate,
            max_frames=encoder.max_frames,
            single_label=single_label,
        )
    except ExportError as error:
        raise InputError(f"{source} cannot be converted: {error}") from error


def published_names(checkpoint, n_classes):
    """Distinct names of the classes of a published model.

    Without names in config.json, AudioSet's are used if their number fits;
    otherwise, classes are numbered.
    """
    id2label = checkpoint.config.get("id2label")
    if id2label is not None:
        names = read_id2label(
            id2label, n_classes, checkpoint.path / "config.json"
        )
        return complete_names(names)
    known = list(read_classes().values())
    if n_classes == len(known):
        return known
    logger.warning(
        "%s does not name its classes: they are called class 0, class 1, ... "
        "Give their names with --labels, and the mean and standard deviation "
        "of its features with --mean and --std if they are not AudioSet's.",
        checkpoint.path,
    )
    return [f"class {number}" for number in range(n_classes)]
