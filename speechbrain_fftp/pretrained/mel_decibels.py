"""Mel spectrograms in decibels, the features of CED, ATST-Frame and Dasheng.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch
from torchaudio.functional import melscale_fbanks

from speechbrain.utils.autocast import fwd_default_precision
from speechbrain_fftp.nnet.tokens import count_valid


class MelDecibels(torch.nn.Module):
    """Batched mel spectrograms in decibels.

    Equal to torchaudio's ``MelSpectrogram`` and ``AmplitudeToDB`` on each clip:
    frames are centred, a clip's ends are padded by reflection, and levels are
    at most ``top_db`` below the maximum of the clip.

    Arguments
    ---------
    sample_rate, n_mels : int
        Sampling rate in Hz, and number of mel bins.
    n_fft, hop_length : int
        Size of the FFT and of its Hann window, and hop between windows, in
        samples.
    f_min, f_max : float
        Range of the mel bins in Hz.
    top_db : float
        Range of a clip's levels in decibels.
    low, high : float, optional
        Minimum and maximum level in decibels; by default, there is no maximum.
    """

    def __init__(
        self,
        sample_rate=16000,
        n_mels=64,
        n_fft=512,
        hop_length=160,
        f_min=0.0,
        f_max=8000.0,
        top_db=120.0,
        low=-100.0,
        high=None,
    ):
        super().__init__()
        self.sample_rate = sample_rate
        self.n_fft = n_fft
        self.window = n_fft
        self.shift = hop_length
        self.margin = n_fft  # frames are centred
        self.top_db = top_db
        self.low = low
        self.high = high
        hann = torch.hann_window(n_fft)
        self.register_buffer("hann", hann, persistent=False)
        banks = melscale_fbanks(
            n_freqs=n_fft // 2 + 1,
            f_min=float(f_min),
            f_max=float(f_max),
            n_mels=n_mels,
            sample_rate=sample_rate,
        )
        self.register_buffer("banks", banks, persistent=False)

    def num_frames(self, n_samples):
        """Number of frames of a clip, or ``[B]`` of each clip of a batch."""
        return n_samples // self.shift + 1

    def frame_lens(self, wav_lens, n_samples):
        """Converts relative lengths ``[B]`` of waveforms to feature lengths."""
        samples = count_valid(wav_lens.double(), n_samples)
        return self.num_frames(samples) / self.num_frames(n_samples)

    @fwd_default_precision(cast_inputs=torch.float32)
    def forward(self, wavs, wav_lens=None):
        """Levels ``[B, T, n_mels]`` of waveforms ``[B, S]`` in -1..1.

        With relative lengths ``[B]``, padding has no influence.
        """
        n_samples = wavs.shape[1]
        if wav_lens is None:
            wav_lens = torch.ones_like(wavs[:, 0])  # exports, unlike len(wavs)
        samples = count_valid(wav_lens.double(), n_samples)
        # Positions of the samples and of their reflections, [B, S + n_fft]
        half = self.n_fft // 2
        last = samples[:, None] - 1
        indices = torch.arange(
            -half, n_samples + self.n_fft - half, device=wavs.device
        ).abs()
        indices = torch.where(indices > last, 2 * last - indices, indices)
        # A clip shorter than half a window repeats its first sample.
        wavs = wavs.gather(1, indices.clamp(min=0))
        frames = wavs.unfold(1, self.n_fft, self.shift)
        spectrum = torch.fft.rfft(frames * self.hann)
        power = spectrum.real.square() + spectrum.imag.square()
        energies = power @ self.banks
        levels = 10 * energies.clamp(min=10 ** (self.low / 10)).log10()
        frame = torch.arange(levels.shape[1], device=wavs.device)
        padding = frame >= self.num_frames(samples)[:, None]
        own = levels.masked_fill(padding.unsqueeze(2), -torch.inf)
        levels = levels.maximum(own.amax((1, 2), keepdim=True) - self.top_db)
        return levels.clamp(self.low, self.high)
