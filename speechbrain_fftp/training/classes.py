"""Initial classifier bias and sampling by the frequency of classes.

Authors
 * The speechbrain_fftp authors 2026
"""

from collections import Counter

import torch

from speechbrain.dataio.sampler import (
    ReproducibleRandomSampler,
    ReproducibleWeightedRandomSampler,
)
from speechbrain_fftp.training.mixing import MixupSampler


def count_labels(dataset):
    """Counts the clips of a data set for each label."""
    counts = Counter()
    for row in dataset.data.values():
        counts.update(set(row["labels"].split(";")))
    return counts


def start_from_class_prior(brain, datasets, *, class_prior=True):
    """Sets the bias of the classifier to the log-odds of the classes.

    This saves hundreds of steps in which the model would only learn that almost
    all targets are 0. For ``before`` in a yaml file; does nothing without
    ``class_prior``.
    """
    if not class_prior:
        return
    counts = count_labels(datasets["train"])
    num_clips = len(datasets["train"].data)
    labels = brain.hparams.label_encoder.lab2ind
    # Finite for all classes
    positive = torch.tensor([counts[label] + 0.1 for label in labels])
    linear = [
        layer
        for layer in brain.checkpointer.recoverables["classifier"].modules()
        if isinstance(layer, torch.nn.Linear)
    ]
    odds = positive / (num_clips + 0.2 - positive)
    linear[-1].bias.data.copy_(odds.log())


def make_sampler(dataset, *, class_balanced=False, set_mixup_prob=0.0, seed):
    """Samples training clips; for ``train_sampler`` in a yaml file.

    In random order, or, if ``class_balanced``, clips of rare classes more often:
    the weight of a clip is the sum of ``1 / count`` over its labels.

    With ``set_mixup_prob``, the clips are paired with any clips of the set: a
    ``MixupSampler``.
    """
    if class_balanced:
        sampler = balanced_sampler(dataset, seed)
    else:
        sampler = ReproducibleRandomSampler(dataset, seed=seed)
    if set_mixup_prob == 0:
        return sampler
    return MixupSampler(sampler, len(dataset), prob=set_mixup_prob, seed=seed)


def balanced_sampler(dataset, seed):
    """Samples clips of rare classes more often, see ``make_sampler``."""
    rows = dataset.data.values()
    counts = count_labels(dataset)
    return ReproducibleWeightedRandomSampler(
        [sum(1 / counts[x] for x in row["labels"].split(";")) for row in rows],
        num_samples=len(rows),
        replacement=True,
        seed=seed,
    )
