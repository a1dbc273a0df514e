"""Learns from a teacher's probabilities as well as from labels.

Knowledge distillation (https://arxiv.org/abs/1503.02531): a loss compares the
student's and the teacher's distributions on the same augmented clips. Targets
become ``[B, 2, C]``: the labels, and the teacher's probabilities, NaN for
classes that the teacher lacks.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    kl_div,
    log_softmax,
)

from speechbrain.utils.distributed import run_on_main
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.pretrained.hub import find_model

logger = get_logger(__name__)

SMALLEST = 1e-6  # of a teacher's probabilities, and of 1 minus them


class WithTeacher(torch.nn.Module):
    """Mixup whose targets get the probabilities of a teacher.

    ``start_teacher`` must be called before the training. Without a teacher,
    this is ``mixup``.

    Arguments
    ---------
    mixup : torch.nn.Module
        Maps waveforms, lengths and targets to mixed ones.
    teacher : str, optional
        A model that ``AudioTagger.from_pretrained`` loads, which runs on each
        mixed batch; or an npz file with the probabilities of all training
        clips, which are mixed like labels.
    sample_rate : int
        Of the clips, in Hz.
    single_label : bool
        Whether a clip has one label, or any number.
    """

    def __init__(self, mixup, teacher, sample_rate, single_label=False):
        super().__init__()
        self.mixup = mixup
        self.teacher = teacher
        self.sample_rate = sample_rate
        self.single_label = single_label
        self.columns = None  # of the teacher's classes, for each class
        self.model = []  # a list, as a teacher is no part of the student

    def forward(self, wavs, lens, targets):
        """Mixes clips; targets ``[B, C]`` become ``[B, 2, C]``."""
        wavs, lens, targets = self.mixup(wavs, lens, targets)
        for model in self.model:
            with torch.no_grad():
                probs = torch.as_tensor(model.tag_batch(wavs, lens))
            probs = pick_classes(probs.to(targets), self.columns)
            targets = torch.stack([targets, probs], 1)
        return wavs, lens, targets


def start_teacher(brain, datasets, teacher):
    """Loads a teacher, or adds its stored probabilities to the training clips.

    It is called before the training.

    Arguments
    ---------
    brain : speechbrain.Brain
        A recipe's Brain.
    datasets : dict
        Its data sets.
    teacher : WithTeacher
        Of the same recipe.

    Raises
    ------
    FileNotFoundError
        If there is no such teacher.
    ValueError
        If it does not fit the recipe.
    """
    if teacher.teacher is None:
        return
    labels = list(brain.hparams.label_encoder.lab2ind)
    if str(teacher.teacher).endswith(".npz"):
        stored, known = read_probabilities(teacher.teacher)
        columns = match_classes(labels, known, teacher.teacher)
        add_stored_targets(datasets["train"], stored, columns, teacher.teacher)
        return
    from speechbrain_fftp.inference import AudioTagger

    run_on_main(find_model, args=[teacher.teacher])  # one process downloads it
    model = AudioTagger.from_pretrained(teacher.teacher, device=brain.device)
    check_model(model, teacher)
    teacher.columns = match_classes(labels, model.labels, teacher.teacher)
    teacher.model = [model]


def check_model(model, teacher):
    """Raises a ValueError if a model cannot teach this recipe."""
    if model.sample_rate != teacher.sample_rate:
        raise ValueError(
            f"The teacher {teacher.teacher} needs {model.sample_rate} Hz, "
            f"but the clips have {teacher.sample_rate} Hz."
        )
    if model.engine.single_label != teacher.single_label:
        raise ValueError(
            f"The teacher {teacher.teacher} and this recipe differ in how many "
            "labels a clip has: one, or any number."
        )


def match_classes(labels, known, source):
    """Columns of a teacher's classes for some labels, -1 for unknown ones."""
    numbers = {label: number for number, label in enumerate(known)}
    columns = [numbers.get(label, -1) for label in labels]
    unknown = columns.count(-1)
    if unknown == len(labels):
        raise ValueError(
            f"The teacher {source} has none of the classes, such as "
            f"{labels[0]!r}; its own are {', '.join(known[:3])} ..."
        )
    if unknown:
        logger.warning(
            "The teacher %s knows %d of %d classes",
            source,
            len(labels) - unknown,
            len(labels),
        )
    return torch.tensor(columns)


def pick_classes(probs, columns):
    """Probabilities ``[B, C]`` of classes by column, NaN where it is -1."""
    columns = columns.to(probs.device)
    picked = probs[:, columns.clamp(min=0)]
    return picked.masked_fill(columns < 0, float("nan"))


def read_probabilities(path):
    """Reads an npz file: probabilities by the ids of clips, and the labels."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        with np.load(path) as arrays:
            ids = arrays["ids"].tolist()
            labels = arrays["labels"].tolist()
            stored = dict(zip(ids, torch.from_numpy(arrays["probs"])))
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(
            f"{path} does not hold the probabilities of clips: {error}"
        ) from error
    return stored, labels


def add_stored_targets(dataset, stored, columns, source):
    """Makes the targets of a data set ``[2, C]``, with stored probabilities."""
    missing = [clip for clip in dataset.data if clip not in stored]
    if missing:
        raise ValueError(
            f"{source} lacks {len(missing)} training clips, such as "
            f"{missing[0]}."
        )

    def taught_targets(clip, targets):
        """Stacks labels ``[C]`` and the teacher's probabilities."""
        probs = pick_classes(stored[clip].to(targets)[None], columns)[0]
        return torch.stack([targets, probs])

    dataset.add_dynamic_item(
        taught_targets, takes=["id", "targets"], provides="taught_targets"
    )
    dataset.set_output_keys(
        {"id": "id", "sig": "sig", "targets": "taught_targets"}
    )


class TeacherCost:
    """The weighted mean of the labels' cost and of a divergence from a teacher.

    The divergence replaces a part of the cost of the classes that the teacher
    knows. Without a teacher's probabilities, as in validation, it is ``cost``.

    Arguments
    ---------
    cost : callable
        Maps logits and targets ``[B, C]`` to a loss.
    weight : float
        Weight of the divergence, in 0..1.
    temperature : float
        Divides the logits that are compared.
    single_label : bool
        Whether a clip has one label, or any number.

    Raises
    ------
    ValueError
        If a number is out of range.
    """

    def __init__(self, cost, weight=0.5, temperature=1.0, single_label=False):
        if not 0 <= weight <= 1 or temperature <= 0:
            raise ValueError(
                f"distill_weight={weight} must be in 0..1 and "
                f"distill_temperature={temperature} positive."
            )
        self.cost = cost
        self.weight = weight
        self.temperature = temperature
        self.single_label = single_label

    def __call__(self, logits, targets):
        """The loss of logits ``[B, C]``; targets are ``[B, (2,) C]``."""
        if targets.dim() == 2:
            return self.cost(logits, targets)
        targets, probs = targets.unbind(1)
        known = ~probs.isnan().any(0)  # [C]
        loss = self.cost(logits, targets)
        if self.single_label:
            labelled = loss
            fraction = targets[:, known].sum(1).mean()
        else:
            labelled = self.cost(logits[:, known], targets[:, known])
            fraction = known.float().mean()
        divergence = self.divergence(logits[:, known], probs[:, known])
        return loss + self.weight * fraction * (divergence - labelled)

    def divergence(self, logits, probs):
        """Kullback-Leibler divergence: per class, or over one label's classes.

        The squared temperature keeps the size of its gradients.
        """
        t = self.temperature
        if self.single_label:
            target = log_softmax(probs.clamp(min=SMALLEST).log() / t, -1)
            student = log_softmax(logits / t, -1)
            divergence = kl_div(
                student, target, reduction="batchmean", log_target=True
            )
            return t**2 * divergence
        target_logits = torch.logit(probs, SMALLEST) / t
        target = target_logits.sigmoid()
        cross_entropy = binary_cross_entropy_with_logits(logits / t, target)
        entropy = binary_cross_entropy_with_logits(target_logits, target)
        return t**2 * (cross_entropy - entropy)
