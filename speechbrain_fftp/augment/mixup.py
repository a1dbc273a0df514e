"""Mixup of waveforms and their labels.

Between-class learning (https://arxiv.org/abs/1711.10282) as used to train the
Audio Spectrogram Transformer (https://arxiv.org/abs/2104.01778).

Authors
 * The speechbrain_fftp authors 2026
"""

from typing import NamedTuple

import torch


class Mix(NamedTuple):
    """How the clips of a batch were mixed; a call mixes their labels likewise.

    Arguments
    ---------
    weight : torch.Tensor
        Weight ``[B]`` of each clip in its mixture; 1.0 for unmixed clips.
    other : torch.Tensor
        Index ``[B]`` of the clip that each clip is mixed with.

    Example
    -------
    >>> mix = Mix(torch.tensor([0.75, 1.0]), torch.tensor([1, 0]))
    >>> mix(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    tensor([[0.7500, 0.2500],
            [0.0000, 1.0000]])
    """

    weight: torch.Tensor
    other: torch.Tensor

    def __call__(self, values):
        """Mixes values of the clips, such as multi-hot labels.

        Arguments
        ---------
        values : torch.Tensor
            Values ``[B, ...]`` of the clips.

        Returns
        -------
        torch.Tensor
            Values ``[B, ...]`` of the mixtures.
        """
        # [B] -> [B, 1, ..., 1]
        weight = self.weight.view(-1, *[1] * (values.dim() - 1))
        return weight * values + (1 - weight) * values[self.other]


class Mixup(torch.nn.Module):
    """Mixes clips of a batch with other clips of the batch.

    A mixed clip is ``weight * clip + (1 - weight) * other``, as long as the
    longer of the two. Active in train mode only.

    Arguments
    ---------
    prob : float
        Probability that a clip is mixed.
    alpha : float
        Parameter of the weights' distribution Beta(alpha, alpha). The default,
        as in the original AST, keeps weights near one half.

    Example
    -------
    >>> mixup = Mixup(prob=1.0)
    >>> wavs, lengths = torch.rand(4, 16000), torch.ones(4)
    >>> wavs, lengths, mix = mixup(wavs, lengths)
    >>> labels = mix(torch.eye(4))
    >>> labels.sum(1)
    tensor([1., 1., 1., 1.])
    """

    def __init__(self, prob=0.5, alpha=10.0):
        super().__init__()
        self.prob = prob
        self.alpha = alpha

    def forward(self, wavs, lengths):
        """Mixes a batch.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms ``[B, S]``, padded with zeros.
        lengths : torch.Tensor
            Lengths ``[B]`` relative to S.

        Returns
        -------
        wavs, lengths : torch.Tensor
            The mixed batch, in the same shapes.
        mix : Mix
            The mixing weights, to be applied to the labels.
        """
        B = len(wavs)
        ones = torch.ones(B, device=wavs.device)
        if not self.training:
            return wavs, lengths, Mix(ones, torch.arange(B, device=wavs.device))
        other = torch.randperm(B, device=wavs.device)
        alpha = self.alpha * ones
        beta = torch.distributions.Beta(alpha, alpha, validate_args=False)
        weight = beta.sample()
        is_mixed = torch.rand(B, device=wavs.device) < self.prob
        mix = Mix(torch.where(is_mixed, weight, ones), other)
        longer = torch.maximum(lengths, lengths[other])
        lengths = torch.where(is_mixed, longer, lengths)
        return mix(wavs), lengths, mix
