"""Waveform augmentations for audio tagging, vectorised over the batch.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch


class RandomCrop(torch.nn.Module):
    """Keeps a random excerpt of each clip that is longer than a limit.

    Arguments
    ---------
    seconds : float
        Length of the excerpt. Shorter clips are left whole.
    sample_rate : int
        Sampling rate in Hz.

    Raises
    ------
    ValueError
        If ``seconds`` is less than a sample.

    Example
    -------
    >>> crop = RandomCrop(seconds=0.5, sample_rate=16000)
    >>> wavs, lengths = crop(torch.rand(2, 16000), torch.tensor([0.25, 1.0]))
    >>> wavs.shape, lengths
    (torch.Size([2, 8000]), tensor([0.5000, 1.0000]))
    """

    def __init__(self, seconds, sample_rate=16000):
        super().__init__()
        self.samples = int(seconds * sample_rate)
        if self.samples < 1:
            raise ValueError(f"seconds={seconds} must be positive.")

    def forward(self, wavs, lengths):
        """Crops a batch.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms ``[B, S]``.
        lengths : torch.Tensor
            Lengths ``[B]`` relative to S.

        Returns
        -------
        wavs : torch.Tensor
            Waveforms ``[B, min(S, samples)]``.
        lengths : torch.Tensor
            Lengths ``[B]`` relative to the new size.
        """
        size = wavs.shape[1]
        if size <= self.samples:
            return wavs, lengths
        n_samples = (lengths * size).round()
        slack = (n_samples - self.samples).clamp(min=0)
        draw = torch.rand(len(wavs), device=wavs.device)
        starts = (draw * (slack + 1)).long().clamp(max=size - self.samples)
        window = torch.arange(self.samples, device=wavs.device)
        kept = n_samples.clamp(max=self.samples)
        return wavs.gather(1, starts[:, None] + window), kept / self.samples


class RandomGain(torch.nn.Module):
    """Changes the level of each clip by a random number of decibels.

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
