"""Mixup of waveforms and their labels.

Between-class learning (https://arxiv.org/abs/1711.10282) as used to train the
Audio Spectrogram Transformer (https://arxiv.org/abs/2104.01778).

Authors
 * The speechbrain_fftp authors 2026
"""

import torch


class Mixup(torch.nn.Module):
    """Mixes clips of a batch with other clips of the batch.

    A mixed clip is ``share * clip + (1 - share) * other``, as long as the
    longer of the two; labels are mixed in the same way. Active in train mode
    only.

    Arguments
    ---------
    prob : float
        Probability that a clip is mixed.
    alpha : float
        Parameter of the share's distribution Beta(alpha, alpha). The default,
        that of the original AST, keeps shares near one half.

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
            Multi-hot labels ``[B, C]``.

        Returns
        -------
        wavs, lengths, labels : torch.Tensor
            Mixed, in the same shapes; labels are in 0..1.
        """
        if not self.training or self.prob == 0:
            return wavs, lengths, labels
        B = len(wavs)
        other = torch.randperm(B, device=wavs.device)
        alpha = torch.full((B, 1), self.alpha, device=wavs.device)
        share = torch.distributions.Beta(alpha, alpha, False).sample()
        mixed = torch.rand(B, 1, device=wavs.device) < self.prob
        share = torch.where(mixed, share, torch.ones_like(share))
        longer = torch.maximum(lengths, lengths[other])
        return (
            share * wavs + (1 - share) * wavs[other],
            torch.where(mixed.squeeze(1), longer, lengths),
            share * labels + (1 - share) * labels[other],
        )
