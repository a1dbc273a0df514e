"""Models from other projects, adapted to the recipes of this project.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

from speechbrain.lobes.features import Fbank
from speechbrain.lobes.models.Xvector import Xvector as _Xvector
from speechbrain.nnet.normalization import BatchNorm1d
from speechbrain_fftp.augment.specmask import SpecMask
from speechbrain_fftp.nnet.schedulers import LinearWarmupCosine


class XvectorFbank(Fbank):
    """SpeechBrain's filterbank, with the waveforms' relative lengths."""


def xvector_classifier(channels, n_classes):
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


def linear_classifier(channels, n_classes):
    """Maps ``[B, 1, channels]`` to ``[B, 1, n_classes]``."""
    return torch.nn.Sequential(torch.nn.Linear(channels, n_classes))


class LinearDecay(LinearWarmupCosine):
    """A learning rate that decreases linearly to ``final_lr``, at each step.

    SpeechBrain's x-vector recipe decreases it after each epoch. There is no
    warm-up: ``warmup_steps`` is ignored.
    """

    def __init__(self, lr, warmup_steps, total_steps, final_lr=0.0):
        del warmup_steps
        super().__init__(lr, 0, total_steps, final_lr)

    def rate(self, step):
        """The learning rate of a step, counted from 1."""
        done = min(step / self.total_steps, 1.0)
        return self.lr + (self.final_lr - self.lr) * done


class UnalignedSpecMask(SpecMask):
    """The masks of ``SpecMask``, moved off the grid of the patches.

    The masks of a batch move by the same random number of frames and of bins,
    never by zero; what leaves at one end comes in at the other. The number of
    masked cells stays the same for clips without padding.
    """

    def forward(self, feats, lengths=None):
        """Masks a batch ``[B, T, F]``."""
        if not self.training:
            return feats
        shift = [
            int(torch.randint(1, size, ()))
            for size in (self.patch_frames, self.patch_bins)
        ]
        moved = feats.roll([-x for x in shift], (1, 2))
        return super().forward(moved, lengths).roll(shift, (1, 2))


def inside(lens, steps):
    """Marks the steps that overlap a clip with 1.0, others with 0.0.

    Maps lengths ``[B]``, relative to ``steps``, to ``[B, steps]``.

    Example
    -------
    >>> inside(torch.tensor([1.0, 0.3]), 4)
    tensor([[1., 1., 1., 1.],
            [1., 1., 0., 0.]])
    """
    valid = (lens * steps - 1e-3).ceil().clamp(min=1)
    step = torch.arange(steps, device=lens.device)
    return (step < valid[:, None]).float()


class Xvector(_Xvector):
    """SpeechBrain's x-vector on clips whose padding is set to zero.

    Statistics over time only use a clip's own frames. The last seven of these
    see the zeros of the padding instead of mirrored frames, and batch
    statistics in training see all frames. For clips of equal length, lengths
    are not passed on: SpeechBrain's pooling would loop over the clips, with the
    same result, in which two thirds of a training step on a CPU are lost.
    """

    def forward(self, x, lens=None):
        """Maps features ``[B, T, F]`` to embeddings ``[B, 1, D]``."""
        if lens is not None:
            x = x * inside(lens, x.shape[1])[:, :, None]
            lens = None if bool((lens == 1).all()) else lens
        return super().forward(x, lens)
