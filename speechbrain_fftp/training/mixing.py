"""Mixup with any clip of the training set, while clips are loaded.

``augment.mixup`` mixes clips of a batch. AST and AuM mix a clip with any clip of
the training set (https://github.com/YuanGongND/ast, ``dataloader.py``), which
makes a difference for small batches.

Authors
 * The speechbrain_fftp authors 2026
"""

from typing import NamedTuple

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from speechbrain.dataio.dataset import DynamicItemDataset


class Pair(NamedTuple):
    """The index of a clip, of the clip it is mixed with, and its weight.

    A weight of 1.0 is that of an unmixed clip.
    """

    clip: int
    other: int
    weight: float


class MixupSampler(torch.utils.data.Sampler):
    """Draws a ``Pair`` for each clip that a sampler draws.

    The pairs depend on seed and epoch alone, so that a resumed epoch has the
    same; in distributed training, each process draws all and takes its own.

    Arguments
    ---------
    sampler : Sampler
        Draws the clips; with ``set_epoch``.
    num_clips : int
        The number of clips to mix with.
    prob : float
        Probability that a clip is mixed.
    alpha : float
        Parameter of the weights' distribution Beta(alpha, alpha).
    seed : int
        The seed of the pairs.

    Example
    -------
    >>> from speechbrain.dataio.sampler import ReproducibleRandomSampler
    >>> clips = ReproducibleRandomSampler(range(4))
    >>> pairs = list(MixupSampler(clips, num_clips=4, prob=0.5, seed=0))
    >>> sorted(pair.clip for pair in pairs)
    [0, 1, 2, 3]
    """

    def __init__(self, sampler, num_clips, *, prob, seed, alpha=10.0):
        self.sampler = sampler
        self.num_clips = num_clips
        self.prob = prob
        self.alpha = alpha
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch):
        """Sets the epoch, before it starts."""
        self.epoch = epoch
        self.sampler.set_epoch(epoch)

    def __len__(self):
        return len(self.sampler)

    def __iter__(self):
        count = len(self)
        rng = np.random.default_rng((self.seed, self.epoch))
        others = rng.integers(self.num_clips, size=count)
        weights = rng.beta(self.alpha, self.alpha, size=count)
        weights[rng.random(count) >= self.prob] = 1.0
        return map(Pair, self.sampler, others.tolist(), weights.tolist())


class MixedClips(DynamicItemDataset):
    """The clips of a data set by ``Pair``, mixed.

    A mixture is ``weight * clip + (1 - weight) * other``, as long as the longer
    of the two, in 16 bits as the clips; its targets are mixed likewise.

    Arguments
    ---------
    dataset : DynamicItemDataset
        The clips, with samples ``sig`` in 16 bits and ``targets``.
    """

    def __init__(self, dataset):
        self.data = dataset.data
        self.data_ids = dataset.data_ids
        self.pipeline = dataset.pipeline

    def __getitem__(self, pair):
        clip = super().__getitem__(pair.clip)
        if pair.weight == 1.0:
            return clip
        other = super().__getitem__(pair.other)
        sigs = pad_sequence([other["sig"].float(), clip["sig"].float()], True)
        targets = other["targets"], clip["targets"]
        mixture = torch.lerp(*sigs, pair.weight).round().to(torch.int16)
        return {
            **clip,
            "sig": mixture,
            "targets": torch.lerp(*targets, pair.weight),
        }
