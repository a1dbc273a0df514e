"""Starts a classifier from the frequency of the classes.

Authors
 * The speechbrain_fftp authors 2026
"""

from collections import Counter

import torch


def count_labels(dataset):
    """Counts the clips of a data set that have each label."""
    counts = Counter()
    for row in dataset.data.values():
        counts.update(set(row["labels"].split(";")))
    del counts[""]  # of clips without a label
    return counts


def start_from_class_prior(brain, datasets):
    """Makes the log-odds of the classes the initial bias of the classifier.

    This saves hundreds of steps of learning that almost all targets are 0. It
    is called before the training.

    Arguments
    ---------
    brain : speechbrain.Brain
        A recipe's Brain.
    datasets : dict
        Its data sets; the labels of ``train`` are counted.
    """
    counts = count_labels(datasets["train"])
    labels = brain.hparams.label_encoder.lab2ind
    odds = prior_log_odds(counts, len(datasets["train"].data), labels)
    linear = [
        layer
        for layer in brain.hparams.classifier.modules()
        if isinstance(layer, torch.nn.Linear)
    ]
    linear[-1].bias.data.copy_(odds)


def prior_log_odds(counts, num_clips, labels):
    """Log-odds ``[C]`` of each class among some clips, finite for all."""
    positive = torch.tensor([counts.get(label, 0) + 0.1 for label in labels])
    return torch.log(positive / (num_clips + 0.2 - positive))
