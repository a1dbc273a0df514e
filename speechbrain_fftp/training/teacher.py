"""Distillation: a teacher's answers beside the labels of training clips.

Binary cross-entropy is linear in its targets: learning from mixed targets is learning
from both, see https://arxiv.org/abs/2211.04772.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import torch

from fftp_tag.errors import InputError
from fftp_tag.files import named_damage


def add_teacher(brain, datasets, *, answers, weight):
    """Mixes a teacher's answers into the targets of the training clips.

    The targets become ``(1 - weight) * labels + weight * probabilities``. Clips are
    matched by their ids, and classes by their names. For ``before`` in a yaml
    file; does nothing without answers.

    Arguments
    ---------
    brain : PluginBrain
        The Brain, with the names of the classes.
    datasets : dict
        The data sets, of which ``train`` has multi-hot ``targets``.
    answers : str, optional
        The ``probabilities.npz`` that ``fftp-tag evaluate --output`` writes.
    weight : float
        The weight of the teacher, from 0 to 1.

    Raises
    ------
    InputError
        If a clip or a class has no answer, or the weight is out of its range.
    """
    if answers is None:
        return
    if not 0 <= weight <= 1:
        raise InputError(f"teacher_weight is {weight}: give 0 to 1.")
    dataset = datasets["train"]
    ids, probs = read_answers(
        answers, dataset.data_ids, brain.hparams.label_encoder.lab2ind
    )

    def pipeline(clip, targets):
        """The mixed targets ``[C]`` of a clip."""
        answer = torch.from_numpy(probs[np.searchsorted(ids, clip)])
        return torch.lerp(targets, answer, weight)

    keys = {**dataset.pipeline.output_mapping, "targets": "mixed_targets"}
    dataset.add_dynamic_item(pipeline, ["id", "targets"], "mixed_targets")
    dataset.set_output_keys(keys)


def read_answers(path, clips, labels):
    """Ids of clips ``[N]``, sorted, and probabilities ``[N, C]`` of the labels."""
    remedy = "make it by fftp-tag evaluate --split train --output FOLDER."
    with named_damage(path, remedy), np.load(path) as file:
        ids, names, probs = file["ids"], file["labels"].tolist(), file["probs"]
    for what, wanted, found in (
        ("class", labels, names),
        ("training clip", clips, ids.tolist()),
    ):
        if missing := sorted(set(wanted) - set(found)):
            raise InputError(
                f"{path} has no answer for the {what} {missing[0]} ({len(missing)} "
                f"of {len(wanted)} are missing): {remedy}"
            )
    order = np.argsort(ids)
    columns = [names.index(label) for label in labels]
    return ids[order], probs[np.ix_(order, columns)]
