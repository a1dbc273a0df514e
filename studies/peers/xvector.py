"""SpeechBrain's x-vector, adapted to the recipes of this project.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

from speechbrain.lobes.models.Xvector import Xvector as _Xvector
from speechbrain.nnet.normalization import BatchNorm1d
from speechbrain_fftp.nnet.schedulers import LinearWarmupCosine


class Xvector(_Xvector):
    """SpeechBrain's x-vector, faster for clips of equal length.

    Their lengths are not passed on: SpeechBrain's pooling would loop over the
    clips, with the same result, in two thirds of a training step on a CPU.
    """

    def forward(self, x, lens=None):
        """Maps features ``[B, T, F]`` to embeddings ``[B, 1, D]``."""
        if lens is not None and bool((lens == 1).all()):
            lens = None
        return super().forward(x, lens)


def make_classifier(channels, n_classes):
    """The classifier of SpeechBrain's x-vector recipe, without the softmax.

    Maps ``[B, 1, channels]`` to ``[B, 1, n_classes]``.
    """
    return torch.nn.Sequential(
        torch.nn.LeakyReLU(),
        BatchNorm1d(input_size=channels),
        torch.nn.Linear(channels, channels),
        torch.nn.LeakyReLU(),
        BatchNorm1d(input_size=channels),
        torch.nn.Linear(channels, n_classes),
    )


class LinearDecay(LinearWarmupCosine):
    """A learning rate that decreases linearly to ``final_lr``, at each step.

    SpeechBrain's x-vector recipe decreases it after each epoch. There is no
    warm-up: ``warmup_steps`` is ignored.
    """

    def __init__(self, lr, warmup_steps, total_steps, final_lr=0.0):
        del warmup_steps
        super().__init__(lr, 0, total_steps, final_lr)

    def _rate(self, step):
        """The learning rate of a step, counted from 1."""
        done = min(step / self.total_steps, 1.0)
        return self.lr + (self.final_lr - self.lr) * done
