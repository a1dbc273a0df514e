"""Mixup of waveforms and their labels.

Between-class learning (https://arxiv.org/abs/1711.10282) as used to train the
Audio Spectrogram Transformer (https://arxiv.org/abs/2104.01778).

Authors
 * The speechbrain_fftp authors 2026
"""

import torch


class Mixup(torch.nn.Module):
    """Mixes clips of a batch with other clips of the batch.

    A mixed clip is ``weight * clip + (1 - weight) * other``, as long as the
    longer of the two; labels are mixed in the same way. Active in train mode
    only.

    Arguments
    ---------
    prob : float
        Probability that a clip is mixed.
    alpha : float
        Parameter of the weight's distribution Beta(alpha, alpha). The default,
        that of the original AST, keeps weights near one half.

    Raises
    ------
    ValueError
        If ``prob`` is outside 0..1 or ``alpha`` is not positive.

    Example
    -------
    >>> mixup = Mixup(prob=1.0)
    >>> wavs, lengths = torch.rand(4, 16000), torch.ones(4)
    >>> wavs, lengths, labels = mixup(wavs, lengths, torch.eye(4))
    >>> labels.sum(1)
    tensor([1., 1., 1., 1.])
    """

    def __init__(self, prob=0.5, alpha=10.0):
        super().__init__()
        if not 0 <= prob <= 1 or alpha <= 0:
            raise ValueError(
                f"prob={prob} must be in 0..1 and alpha={alpha} positive."
            )
        self.prob = prob
        self.alpha = alpha

    def forward(self, wavs, lengths, labels):
        """Mixes a batch.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms ``[B, S]``, padded with zeros.
        lengths : torch.Tensor
            Lengths ``[B]`` relative to S.
        labels : torch.Tensor
            Labels ``[B, ...]`` in 0..1, such as multi-hot ones ``[B, C]``.

        Returns
        -------
        wavs, lengths, labels : torch.Tensor
            Mixed, in the same shapes.
        """
        if not self.training or self.prob == 0:
            return wavs, lengths, labels
        B = len(wavs)
        other = torch.randperm(B, device=wavs.device)
        alpha = torch.full((B, 1), self.alpha, device=wavs.device)
        beta = torch.distributions.Beta(alpha, alpha, validate_args=False)
        weight = beta.sample()
        mixed = torch.rand(B, 1, device=wavs.device) < self.prob
        weight = torch.where(mixed, weight, torch.ones_like(weight))
        longer = torch.maximum(lengths, lengths[other])
        lengths = torch.where(mixed.squeeze(1), longer, lengths)
        wavs = weight * wavs + (1 - weight) * wavs[other]
        # [B, 1] -> [B, 1, ..., 1], with as many dimensions as the labels
        weight = weight.view(B, *[1] * (labels.dim() - 1))
        labels = weight * labels + (1 - weight) * labels[other]
        return wavs, lengths, labels
