"""Learns from a teacher's probabilities as well as from labels.

The targets of training clips become the weighted mean of both, as in
distillation for audio tagging (https://arxiv.org/abs/2211.04772). The loss is
then the weighted mean of the cross-entropies with labels and teacher.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import torch

from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)


def learn_from_teacher(
    brain, datasets, *, teacher, weight, temperature, single_label=False
):
    """Mixes a teacher's probabilities into the targets of training clips.

    Classes are matched by name; classes unknown to the teacher keep their
    labels.
    For ``before`` in a yaml file.

    Arguments
    ---------
    brain : speechbrain.Brain
        A recipe's Brain.
    datasets : dict
        The recipe's data sets.
    teacher : str, optional
        The probabilities.npz of ``fftp-tag evaluate --output`` on the training
        clips; None to do nothing.
    weight : float
        Weight of the teacher, in 0..1.
    temperature : float
        Divides the teacher's logits; above 1, its probabilities get softer.
    single_label : bool
        Whether each clip has exactly one class.

    Raises
    ------
    ValueError
        If the file lacks clips, or has none of the classes.
    """
    if teacher is None:
        return
    with np.load(teacher) as stored:
        row_of = {clip: n for n, clip in enumerate(stored["ids"].tolist())}
        column_of = {
            name: n for n, name in enumerate(stored["labels"].tolist())
        }
        probs = torch.from_numpy(stored["probs"])
    dataset = datasets["train"]
    missing = [clip for clip in dataset.data if clip not in row_of]
    if missing:
        raise ValueError(
            f"{teacher} lacks {len(missing)} training clips, such as "
            f"{missing[0]}."
        )
    labels = list(brain.hparams.label_encoder.lab2ind)
    known = torch.tensor([label in column_of for label in labels])
    if not known.any():
        raise ValueError(f"{teacher} has none of the classes: {labels[:3]} ...")
    logger.info("%s has %d of %d classes", teacher, known.sum(), len(labels))
    columns = torch.tensor([column_of.get(label, 0) for label in labels])
    probs = soften(probs[:, columns], known, temperature, single_label)

    def soft_targets(clip, targets):
        """Weighted mean of labels ``[C]`` and the teacher's probabilities."""
        is_taught = known
        if single_label:  # the probabilities of a clip sum to 1
            is_taught = targets[known].any()
        mean = torch.lerp(targets, probs[row_of[clip]], weight)
        return torch.where(is_taught, mean, targets)

    dataset.add_dynamic_item(
        soft_targets, takes=["id", "targets"], provides="soft_targets"
    )
    dataset.set_output_keys(
        {"id": "id", "sig": "sig", "targets": "soft_targets"}
    )


def soften(probs, known, temperature, single_label):
    """Divides logits by a temperature.

    Arguments
    ---------
    probs : torch.Tensor
        Probabilities ``[N, C]``.
    known : torch.Tensor
        True for the teacher's classes ``[C]``; other probabilities become 0.
    temperature : float
        Divisor of the logits.
    single_label : bool
        Whether the probabilities of a clip sum to 1.

    Returns
    -------
    torch.Tensor
        Probabilities ``[N, C]``.
    """
    logits = probs.log() if single_label else probs.logit()
    logits = logits.masked_fill(~known, -torch.inf) / temperature
    return logits.softmax(1) if single_label else logits.sigmoid()
