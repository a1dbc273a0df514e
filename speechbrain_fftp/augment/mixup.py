"""Mixup of waveforms and their labels.

Between-class learning (https://arxiv.org/abs/1711.10282) as used to train the
Audio Spectrogram Transformer (https://arxiv.org/abs/2104.01778).

Authors
 * The speechbrain_fftp authors 2026
"""

from typing import NamedTuple

import torch


class Mix(NamedTuple):
    """How the clips of a batch were mixed; mixes their labels alike.

    Arguments
    ---------
    weight : torch.Tensor
        Share ``[B]`` of each clip in its mixture; 1.0 for clips as they were.
    other : torch.Tensor
        Place ``[B]`` in the batch of the clip that has the rest.

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
        """Mixes what clips have, such as multi-hot labels.

        Arguments
        ---------
        values : torch.Tensor
            Of each clip, ``[B, ...]``.

        Returns
        -------
        torch.Tensor
            Of each mixture, in the same shape.
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
        Parameter of the weight's distribution Beta(alpha, alpha). The default,
        that of the original AST, keeps weights near one half.

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
            Mixed, in the same shapes.
        mix : Mix
            Mixes labels in the same way.
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
