"""The front ends of published AudioSet models, and their normalisation.

Unlike those of ``speechbrain.lobes.features``, they equal Kaldi's filterbanks,
for AST, and torchaudio's mel spectrograms in decibels.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch
from torchaudio.compliance.kaldi import get_mel_banks
from torchaudio.functional import melscale_fbanks

from speechbrain.utils.autocast import fwd_default_precision

# Frames computed at a time on a CPU, so that their spectra stay in its cache.
CPU_BLOCK_FRAMES = 512


class FrontEnd(torch.nn.Module):
    """Base class of front ends with windows of constant size and hop.

    Subclasses set ``sample_rate``, ``n_mels``, ``window`` and ``shift`` in
    samples, and the buffer ``banks`` ``[n_fft / 2 + 1, n_mels]``.

    Example
    -------
    >>> front_end = KaldiFbank()
    >>> front_end.num_frames(16000)
    98
    >>> front_end.frame_lens(torch.tensor([1.0, 0.5]), 16000)
    tensor([1.0000, 0.4898])
    """

    center = False  # whether windows are centred, or start, at a sample

    def num_frames(self, n_samples):
        """Number of whole windows, or of centres, of a clip.

        Arguments
        ---------
        n_samples : int or torch.Tensor
            Number of samples of a clip, or of each clip of a batch.

        Returns
        -------
        int or torch.Tensor
            Number of frames, at least 1.
        """
        needed = 0 if self.center else self.window
        frames = (n_samples - needed) // self.shift + 1
        if isinstance(frames, torch.Tensor):
            return frames.clamp(min=1)
        return max(frames, 1)

    def frame_lens(self, wav_lens, n_samples):
        """Converts lengths of waveforms to those of features.

        The two differ, since the last window of a clip starts before its end:
        with lengths in samples, an encoder would read up to two frames of
        padding. Exact up to 2**24 samples, 17 minutes at 16 kHz; beyond,
        float32 cannot express the length of every clip: pass float64.

        Arguments
        ---------
        wav_lens : torch.Tensor
            Lengths ``[B]`` relative to ``n_samples``.
        n_samples : int
            Number of samples of the batch.

        Returns
        -------
        torch.Tensor
            Lengths ``[B]`` relative to the number of frames.
        """
        samples = (wav_lens.double() * n_samples).round().long()
        return self.num_frames(samples) / self.num_frames(n_samples)

    def mel_power(self, frames, n_fft):
        """Mel energies of windowed frames.

        Arguments
        ---------
        frames : torch.Tensor
            Samples ``[B, T, N]``.
        n_fft : int
            Size of the FFT, at least N.

        Returns
        -------
        torch.Tensor
            Energies ``[B, T, n_mels]``.
        """
        spectrum = torch.fft.rfft(frames, n_fft)
        power = spectrum.real.square().add_(spectrum.imag.square())
        # [B, T, n_fft / 2 + 1] -> [B, T, n_mels]
        return power @ self.banks


class KaldiFbank(FrontEnd):
    """Batched, differentiable Kaldi log-mel filterbanks.

    Equal to ``torchaudio.compliance.kaldi.fbank(htk_compat=True,
    use_energy=False, window_type="hanning", dither=0)`` on each clip. A clip's
    valid frames do not depend on the batch it is in. Always computed in
    float32, even under autocast.

    Arguments
    ---------
    sample_rate, n_mels : int
        Sampling rate in Hz, and number of mel bins.
    frame_length, frame_shift : float
        Window length and hop between windows in ms.
    low_freq : float
        Lower edge of the lowest bin in Hz. The highest ends at half the rate.
    preemphasis : float
        Pre-emphasis coefficient.

    Example
    -------
    >>> compute_features = KaldiFbank(n_mels=128)
    >>> compute_features(torch.rand(2, 160000)).shape
    torch.Size([2, 998, 128])
    """

    def __init__(
        self,
        sample_rate=16000,
        n_mels=128,
        frame_length=25.0,
        frame_shift=10.0,
        low_freq=20.0,
        preemphasis=0.97,
    ):
        super().__init__()
        self.sample_rate = sample_rate
        self.n_mels = n_mels
        self.frame_length = frame_length
        self.frame_shift = frame_shift
        self.low_freq = low_freq
        self.preemphasis = preemphasis
        self.window = int(sample_rate * frame_length / 1000)
        self.shift = int(sample_rate * frame_shift / 1000)
        self.n_fft = 1 << (self.window - 1).bit_length()
        hann = torch.hann_window(self.window, periodic=False)
        self.register_buffer("hann", hann, persistent=False)
        # [n_fft / 2 + 1, n_mels]; Kaldi ignores the Nyquist bin.
        banks, _ = get_mel_banks(
            n_mels, self.n_fft, sample_rate, low_freq, 0.0, 100.0, -500.0, 1.0
        )
        banks = torch.nn.functional.pad(banks, (0, 1)).T.contiguous()
        self.register_buffer("banks", banks, persistent=False)
        self.floor = torch.finfo(torch.float32).eps

    @fwd_default_precision(cast_inputs=torch.float32)
    def forward(self, wavs, wav_lens=None):
        """Computes the filterbanks of a batch.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms ``[B, S]`` in -1..1.
        wav_lens : torch.Tensor, optional
            Ignored: no valid frame reaches beyond the end of its clip.

        Returns
        -------
        torch.Tensor
            Natural log of the mel energies, ``[B, T, n_mels]``.
        """
        del wav_lens
        missing = self.window - wavs.shape[1]
        if missing > 0:
            wavs = torch.nn.functional.pad(wavs, (0, missing))
        # One compiled or exported graph serves all lengths: no loops over them.
        if torch.compiler.is_compiling() or wavs.device.type != "cpu":
            return self._log_mel(wavs)
        n_frames = self.num_frames(wavs.shape[1])
        clips = wavs.split(max(CPU_BLOCK_FRAMES // n_frames, 1))
        return torch.cat([self._log_mel_in_blocks(x, n_frames) for x in clips])

    def _log_mel_in_blocks(self, wavs, n_frames):
        """``_log_mel`` of ``CPU_BLOCK_FRAMES`` frames at a time."""
        blocks = []
        for first in range(0, n_frames, CPU_BLOCK_FRAMES):
            last = min(first + CPU_BLOCK_FRAMES, n_frames) - 1
            end = last * self.shift + self.window
            blocks.append(self._log_mel(wavs[:, first * self.shift : end]))
        return torch.cat(blocks, 1)

    def _log_mel(self, wavs):
        """Filterbanks ``[B, T, n_mels]`` of waveforms ``[B, S]``."""
        frames = wavs.unfold(1, self.window, self.shift)
        means = frames.mean(-1, keepdim=True)
        # The window is 0 at the first sample of a frame, the only one without
        # a predecessor: skip it.
        rises = frames[..., 1:] - self.preemphasis * frames[..., :-1]
        rises = (rises - (1 - self.preemphasis) * means) * self.hann[1:]
        energies = self.mel_power(rises, self.n_fft)
        return energies.clamp(min=self.floor).log()


class MelDecibels(FrontEnd):
    """Batched, differentiable mel spectrograms in decibels.

    Equal to ``torchaudio.transforms.MelSpectrogram`` and ``AmplitudeToDB`` on
    each clip: frames are centred and see the reflection of a clip's ends, and
    nothing is more than ``top_db`` below the maximum of the clip. Always
    computed in float32, even under autocast.

    Arguments
    ---------
    sample_rate, n_mels : int
        Sampling rate in Hz, and number of mel bins.
    n_fft, hop_length : int
        Size of the FFT and of its Hann window, and step from one window to the
        next, in samples.
    f_min, f_max : float, optional
        Range of the mel bins in Hz; by default, up to half the sampling rate.
    top_db : float
        Range of a clip's levels in decibels.
    low, high : float, optional
        Lowest and highest level in decibels; by default, there is no highest.

    Example
    -------
    >>> compute_features = MelDecibels()
    >>> compute_features(torch.rand(2, 160000)).shape
    torch.Size([2, 1001, 64])
    """

    center = True  # windows are centred on it

    def __init__(
        self,
        sample_rate=16000,
        n_mels=64,
        n_fft=512,
        hop_length=160,
        f_min=0.0,
        f_max=None,
        top_db=120.0,
        low=-100.0,
        high=None,
    ):
        super().__init__()
        self.sample_rate = sample_rate
        self.n_mels = n_mels
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.window = n_fft
        self.shift = hop_length
        self.f_min = f_min
        self.f_max = f_max
        self.top_db = top_db
        self.low = low
        self.high = high
        hann = torch.hann_window(n_fft)
        self.register_buffer("hann", hann, persistent=False)
        high = sample_rate // 2 if f_max is None else f_max
        bins = n_fft // 2 + 1
        banks = melscale_fbanks(bins, f_min, float(high), n_mels, sample_rate)
        self.register_buffer("banks", banks, persistent=False)

    @fwd_default_precision(cast_inputs=torch.float32)
    def forward(self, wavs, wav_lens=None):
        """Computes the spectrograms of a batch.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms ``[B, S]`` in -1..1.
        wav_lens : torch.Tensor, optional
            Lengths ``[B]`` relative to S; what pads a clip has no influence.

        Returns
        -------
        torch.Tensor
            Levels in decibels, ``[B, T, n_mels]``.
        """
        size = wavs.shape[1]
        if wav_lens is None:
            wav_lens = wavs.new_ones(len(wavs))
        samples = (wav_lens.double() * size).round().long().clamp(min=1)
        # Positions of the samples and of their reflections, [B, S + n_fft]
        half = self.n_fft // 2
        last = samples[:, None] - 1
        places = torch.arange(
            -half, size + self.n_fft - half, device=wavs.device
        ).abs()
        places = torch.where(places > last, 2 * last - places, places)
        # A clip shorter than half a window repeats its first sample.
        wavs = wavs.gather(1, places.clamp(min=0))
        frames = wavs.unfold(1, self.n_fft, self.shift)
        energies = self.mel_power(frames * self.hann, self.n_fft)
        levels = energies.clamp(min=10 ** (self.low / 10)).log10() * 10
        frame = torch.arange(levels.shape[1], device=wavs.device)
        padding = frame >= self.num_frames(samples)[:, None]
        valid = levels.masked_fill(padding.unsqueeze(2), -torch.inf)
        loudest = valid.amax((1, 2), keepdim=True)
        levels = levels.maximum(loudest - self.top_db)
        return levels if self.high is None else levels.clamp(max=self.high)


class DatasetNormalization(torch.nn.Module):
    """Normalises features by the mean and standard deviation of a data set.

    ``(x - mean) / (2 * std)``, as the Audio Spectrogram Transformer does.

    Arguments
    ---------
    mean, std : float
        Mean and standard deviation of the data set's features: -4.2677393 and
        4.5689974 for AudioSet, -6.845978 and 5.5654526 for Speech Commands.

    Example
    -------
    >>> mean_var_norm = DatasetNormalization(mean=-4.0, std=2.0)
    >>> mean_var_norm(torch.tensor([[[-4.0, 0.0]]]))
    tensor([[[0., 1.]]])
    """

    def __init__(self, mean=-4.2677393, std=4.5689974):
        super().__init__()
        self.mean = mean
        self.std = std

    def forward(self, x, lengths=None):
        """Normalises a batch.

        Arguments
        ---------
        x : torch.Tensor
            Features ``[B, T, F]``.
        lengths : torch.Tensor, optional
            Ignored; ``EncoderClassifier`` passes it.

        Returns
        -------
        torch.Tensor
            Normalised features ``[B, T, F]``.
        """
        del lengths
        return (x - self.mean) / (2 * self.std)
