"""SpecAugment's masks, as in the training of the Audio Spectrogram Transformer.

One mask in time and one in frequency for each clip
(https://arxiv.org/abs/1904.08779, without time warping), as in
https://arxiv.org/abs/2104.01778.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch

from speechbrain_fftp.nnet.tokens import count_valid


class SpecAugment(torch.nn.Module):
    """Masks a range of bins and a range of frames of each clip.

    Widths are drawn uniformly from 0 to their maximum, and starts uniformly
    from all at which a mask lies within the clip, so that both ends are masked
    equally often. Unlike those of SpeechBrain's ``SpectrogramDrop``, masks do
    not cover padding, and are drawn on the CPU, which waits for no GPU. Active
    in train mode only.

    Arguments
    ---------
    bins, frames : int
        Maximum width of a mask in frequency, and in time.
    fill : float
        Value of masked cells: 0.0, the mean of normalised features, or another.
        The code of AST masks log-mels with 0 before it normalises them, which
        then is ``-mean / (2 * std)``, 0.467 on AudioSet.

    Example
    -------
    >>> augment = SpecAugment(bins=48, frames=192)
    >>> feats = torch.ones(4, 1000, 128)
    >>> bool(augment(feats).sum() < feats.sum())
    True
    """

    def __init__(self, bins, frames, fill=0.0):
        super().__init__()
        self.bins = bins
        self.frames = frames
        self.fill = fill

    def forward(self, feats, lengths=None):
        """Masks a batch.

        Arguments
        ---------
        feats : torch.Tensor
            Normalised features ``[B, T, F]``, which are not changed in place.
        lengths : torch.Tensor, optional
            Lengths ``[B]`` relative to T; by default, all are 1.0. Masks lie in
            the valid frames. Lengths on the CPU avoid a GPU synchronisation.

        Returns
        -------
        torch.Tensor
            Masked features ``[B, T, F]``.
        """
        if not self.training:
            return feats
        B, T, F = feats.shape
        n_frames = torch.full((B,), T)
        if lengths is not None:
            n_frames = count_valid(lengths.cpu(), T)
        in_time = draw_range(n_frames, self.frames, T)
        in_frequency = draw_range(torch.full((B,), F), self.bins, F)
        # [B, T, 1] | [B, 1, F]
        masked = in_time.unsqueeze(2).to(feats.device, non_blocking=True)
        masked = masked | in_frequency.unsqueeze(1).to(
            feats.device, non_blocking=True
        )
        return feats.masked_fill(masked, self.fill)


def draw_range(sizes, longest, N):
    """Draws a range of random width within the first ``sizes`` of N positions.

    Arguments
    ---------
    sizes : torch.Tensor
        Number ``[B]`` of positions that the range may cover.
    longest : int
        Maximum width.
    N : int
        Number of positions.

    Returns
    -------
    torch.Tensor
        ``[B, N]``, True in the range.

    Example
    -------
    >>> draw_range(torch.tensor([4, 6]), longest=0, N=6).any()
    tensor(False)
    """
    draw = torch.rand(2, len(sizes), dtype=torch.float64)
    width = (draw[0] * (sizes.clamp(max=longest) + 1)).long()
    start = (draw[1] * (sizes - width + 1)).long()
    position = torch.arange(N)
    return (position >= start[:, None]) & (position < (start + width)[:, None])
