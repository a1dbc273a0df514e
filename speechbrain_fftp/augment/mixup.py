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
            Values ``[B, ...]`` of the clips, in float32.

        Returns
        -------
        torch.Tensor
            Values ``[B, ...]`` of the mixtures.
        """
        # [B] -> [B, 1, ..., 1]
        weight = self.weight.view(-1, *[1] * (values.dim() - 1))
        return torch.lerp(values[self.other], values, weight)


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

    def forward(self, wavs, lengths=None):
        """Mixes a batch.

        The random numbers are drawn on the CPU.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms ``[B, S]``, padded with zeros.
        lengths : torch.Tensor, optional
            Lengths ``[B]`` relative to S; by default, all are 1.0.

        Returns
        -------
        wavs : torch.Tensor
            The mixtures, in the same shape.
        lengths : torch.Tensor or None
            Their lengths; None if ``lengths`` is None.
        mix : Mix
            The mixing weights, to be applied to the labels.
        """
        B = len(wavs)
        if not self.training or self.prob == 0:
            ones = torch.ones(B, device=wavs.device)
            return wavs, lengths, Mix(ones, torch.arange(B, device=wavs.device))
        other = torch.randperm(B)
        alpha = torch.full((B,), self.alpha)
        beta = torch.distributions.Beta(alpha, alpha, validate_args=False)
        weight = beta.sample()
        is_mixed = torch.rand(B) < self.prob
        weight = weight.masked_fill(~is_mixed, 1.0)
        if lengths is not None:
            second = other.to(lengths.device)
            longer = torch.maximum(lengths, lengths[second])
            is_mixed = is_mixed.to(lengths.device)
            lengths = torch.where(is_mixed, longer, lengths)
        mix = Mix(
            weight.to(wavs.device, non_blocking=True),
            other.to(wavs.device, non_blocking=True),
        )
        return mix(wavs), lengths, mix
