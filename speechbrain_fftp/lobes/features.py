"""Kaldi's filterbanks, and their normalisation.

Unlike ``speechbrain.lobes.features.Fbank``, they equal the features that
published AudioSet models were trained on.

Authors
 * The speechbrain_fftp authors 2026
"""

import torch
from torchaudio.compliance.kaldi import get_mel_banks

from speechbrain.utils.autocast import fwd_default_precision

PREEMPHASIS = 0.97


class KaldiFbank(torch.nn.Module):
    """Batched, differentiable Kaldi log-mel filterbanks.

    Equal to ``torchaudio.compliance.kaldi.fbank(htk_compat=True,
    use_energy=False, window_type="hanning", dither=0)`` on each clip. A clip's
    valid frames do not depend on the batch it is in. Always computed in
    float32, even under autocast.

    Arguments
    ---------
    sample_rate, n_mels : int
        Sampling rate in Hz, and number of mel bins.

    Example
    -------
    >>> compute_features = KaldiFbank(n_mels=128)
    >>> compute_features(torch.rand(2, 160000)).shape
    torch.Size([2, 998, 128])
    >>> compute_features.frame_lens(torch.tensor([1.0, 0.5]), 160000)
    tensor([1.0000, 0.4990])
    """

    def __init__(self, sample_rate=16000, n_mels=128):
        super().__init__()
        self.sample_rate = sample_rate
        # 25 ms every 10 ms
        self.window = sample_rate * 25 // 1000
        self.shift = sample_rate * 10 // 1000
        self.n_fft = 1 << (self.window - 1).bit_length()
        weights = torch.hann_window(self.window, periodic=False)
        self.register_buffer("weights", weights, persistent=False)
        # [n_fft / 2 + 1, n_mels]; Kaldi ignores the Nyquist bin.
        banks, _ = get_mel_banks(
            n_mels,
            self.n_fft,
            sample_rate,
            low_freq=20.0,
            high_freq=0.0,  # half the sampling rate
            vtln_low=100.0,
            vtln_high=-500.0,
            vtln_warp_factor=1.0,
        )
        banks = torch.nn.functional.pad(banks, (0, 1)).T.contiguous()
        self.register_buffer("banks", banks, persistent=False)
        self.floor = torch.finfo(torch.float32).eps

    def num_frames(self, n_samples):
        """Number of frames of a clip.

        Arguments
        ---------
        n_samples : int or torch.Tensor
            Number of samples of a clip, or of each clip of a batch.

        Returns
        -------
        int or torch.Tensor
            Number of frames, at least 1.
        """
        frames = (n_samples - self.window) // self.shift + 1
        if isinstance(frames, torch.Tensor):
            return frames.clamp(min=1)
        return max(frames, 1)

    def frame_lens(self, wav_lens, n_samples):
        """Converts relative lengths of waveforms to lengths of features.

        The two differ, since the last window of a clip starts before its end:
        with waveform lengths, an encoder would read up to two frames of
        padding. Exact up to 2**24 samples, 17 minutes at 16 kHz; pass float64
        for longer batches.

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

    @fwd_default_precision(cast_inputs=torch.float32)
    def forward(self, wavs):
        """Computes the filterbanks of a batch.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms ``[B, S]`` in -1..1.

        Returns
        -------
        torch.Tensor
            Natural log of the mel energies, ``[B, T, n_mels]``.
        """
        if wavs.device.type != "cpu":
            return self.log_mel(wavs)
        # The cache of a CPU holds the spectra of one clip, not of a batch
        return torch.cat([self.log_mel(wav) for wav in wavs.split(1)])

    def log_mel(self, wavs):
        """Computes the filterbanks of all clips at once.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms ``[B, S]``.

        Returns
        -------
        torch.Tensor
            Natural log of the mel energies, ``[B, T, n_mels]``.
        """
        missing = self.window - wavs.shape[1]
        if missing > 0:
            wavs = torch.nn.functional.pad(wavs, (0, missing))
        frames = wavs.unfold(1, self.window, self.shift)
        means = frames.mean(-1, keepdim=True)
        # Skip the first sample of a frame, which has no predecessor: the window
        # is 0 there.
        rises = frames[..., 1:] - PREEMPHASIS * frames[..., :-1]
        rises = (rises - (1 - PREEMPHASIS) * means) * self.weights[1:]
        spectrum = torch.fft.rfft(rises, self.n_fft)
        power = spectrum.real.square() + spectrum.imag.square()
        # [B, T, n_fft / 2 + 1] -> [B, T, n_mels]
        return (power @ self.banks).clamp(min=self.floor).log()


class DatasetNormalization(torch.nn.Module):
    """Normalises features by the mean and standard deviation of a data set.

    ``(x - mean) / (2 * std)``, as the Audio Spectrogram Transformer does.

    Arguments
    ---------
    mean, std : float
        Mean and standard deviation of the data set's features: -4.2677393 and
        4.5689974 for AudioSet, -6.845978 and 5.5654526 for Speech Commands.
    pad_frames : int
        Minimum number of frames, for encoders that do not mask padding. As in
        AST, padding is 0 before the normalisation.

    Example
    -------
    >>> mean_var_norm = DatasetNormalization(mean=-4.0, std=2.0)
    >>> mean_var_norm(torch.tensor([[[-4.0, 0.0]]]))
    tensor([[[0., 1.]]])
    """

    def __init__(self, mean=-4.2677393, std=4.5689974, pad_frames=0):
        super().__init__()
        self.mean = mean
        self.std = std
        self.pad_frames = pad_frames

    @property
    def padding(self):
        """The normalised value of padding, a log-mel energy of 0."""
        return -self.mean / (2 * self.std)

    def forward(self, x, lengths=None):
        """Normalises a batch.

        Arguments
        ---------
        x : torch.Tensor
            Features ``[B, T, F]``.
        lengths : torch.Tensor, optional
            Lengths ``[B]`` relative to T, which tell the padding for
            ``pad_frames``.

        Returns
        -------
        torch.Tensor
            Normalised features ``[B, T, F]``.
        """
        if self.pad_frames:
            if lengths is not None:
                counts = (lengths * x.shape[1]).round()[:, None, None]
                frames = torch.arange(x.shape[1], device=x.device)[:, None]
                x = x.masked_fill(frames >= counts, 0.0)
            missing = torch.sym_max(self.pad_frames - x.shape[1], 0)
            x = torch.nn.functional.pad(x, (0, 0, 0, missing))
        return (x - self.mean) / (2 * self.std)
