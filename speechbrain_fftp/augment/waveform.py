"""Waveform augmentations for audio tagging, vectorised over the batch.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch


class RandomGain(torch.nn.Module):
    """Changes the level of each clip by a random number of decibels.

    Relative to the clip's own level, unlike SpeechBrain's ``RandAmp``, which
    scales each clip to its peak first.

    Arguments
    ---------
    decibels : float
        The gain is uniform in ``-decibels .. decibels``.

    Raises
    ------
    ValueError
        If ``decibels`` is negative.

    Example
    -------
    >>> gain = RandomGain(decibels=6.0)
    >>> gain(torch.ones(4, 8)).abs().max() < 2
    tensor(True)
    """

    def __init__(self, decibels):
        super().__init__()
        if decibels < 0:
            raise ValueError(f"decibels={decibels} must not be negative.")
        self.decibels = decibels

    def forward(self, wavs):
        """Scales a batch.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms ``[B, S]``.

        Returns
        -------
        torch.Tensor
            Waveforms ``[B, S]``.
        """
        draw = 2 * torch.rand(len(wavs), 1, device=wavs.device) - 1
        return wavs * 10 ** (draw * self.decibels / 20)
