"""Waveform augmentations for audio tagging: gain, low-pass, shift and noise.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import torch

from speechbrain.dataio import audio_io
from speechbrain.utils.logger import get_logger
from speechbrain_fftp.nnet.tokens import count_valid

logger = get_logger(__name__)


class RandomGain(torch.nn.Module):
    """Changes the level of each clip by a random number of decibels.

    The gain is drawn uniformly from ``-decibels .. decibels``. Unlike
    SpeechBrain's ``RandAmp``, this does not normalise clips by their peak
    first, which gives NaN for digital silence.

    Arguments
    ---------
    decibels : float
        Maximum gain, positive or negative.

    Example
    -------
    >>> gain = RandomGain(decibels=6.0)
    >>> gain(torch.ones(4, 8)).abs().max() < 2
    tensor(True)
    """

    def __init__(self, decibels):
        super().__init__()
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


class RandomLowPass(torch.nn.Module):
    """Removes the frequencies above a random one from some clips.

    Lossy codecs do so; mp3 at 16 kHz, for example, ends at 7.3 kHz. The
    frequency is drawn uniformly from ``lowest`` to half of the sampling rate.

    Arguments
    ---------
    sample_rate : int
        Sampling rate in Hz.
    lowest : float
        Lowest cutoff frequency in Hz.
    prob : float
        Probability that a clip is filtered.

    Example
    -------
    >>> low_pass = RandomLowPass(16000, lowest=5000.0, prob=1.0)
    >>> _ = torch.manual_seed(0)
    >>> tones = torch.sin(torch.arange(1600) * torch.tensor([[0.5], [3.1]]))
    >>> low_pass(tones).square().mean(1) > 0.1
    tensor([ True, False])
    """

    def __init__(self, sample_rate, lowest, prob):
        super().__init__()
        self.sample_rate = sample_rate
        self.lowest = lowest
        self.prob = prob

    def forward(self, wavs):
        """Filters a batch.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms ``[B, S]``.

        Returns
        -------
        torch.Tensor
            Waveforms ``[B, S]``.
        """
        is_cut = torch.rand(len(wavs), 1, device=wavs.device) < self.prob
        highest = self.sample_rate / 2
        draw = torch.rand(len(wavs), 1, device=wavs.device)
        cutoff = self.lowest + (highest - self.lowest) * draw
        spectrum = torch.fft.rfft(wavs)
        frequency = torch.linspace(
            0, highest, spectrum.shape[1], device=wavs.device
        )
        spectrum = spectrum.masked_fill(is_cut & (frequency > cutoff), 0.0)
        return torch.fft.irfft(spectrum, wavs.shape[1])


class RandomShift(torch.nn.Module):
    """Shifts each clip in time by a random number of samples.

    The shift is drawn uniformly from ``-max_shift .. max_shift``, limited to
    half of the clip's length. Samples are replaced by zeros rather than wrapped
    around, since the other end of a clip may sound different.

    Arguments
    ---------
    max_shift : int
        Maximum shift in samples.

    Example
    -------
    >>> shift = RandomShift(max_shift=2)
    >>> wavs = torch.ones(4, 8)
    >>> bool((shift(wavs, torch.ones(4)).sum(1) >= 6).all())
    True
    """

    def __init__(self, max_shift):
        super().__init__()
        self.max_shift = max_shift

    def forward(self, wavs, lengths):
        """Shifts a batch; padding is ignored.

        Arguments
        ---------
        wavs : torch.Tensor
            Waveforms ``[B, S]``.
        lengths : torch.Tensor
            Lengths ``[B]`` relative to S.

        Returns
        -------
        torch.Tensor
            Waveforms ``[B, S]``.
        """
        B, S = wavs.shape
        valid = count_valid(lengths, S)[:, None]
        limit = (valid // 2).clamp(max=self.max_shift)
        draw = torch.rand(B, 1, dtype=torch.float64, device=wavs.device)
        shift = (draw * (2 * limit + 1)).long() - limit
        sample = torch.arange(S, device=wavs.device)
        source = sample - shift
        shifted = wavs.gather(1, source.clamp(0, S - 1))
        shifted = shifted.masked_fill((source < 0) | (source >= valid), 0.0)
        return torch.where(sample < valid, shifted, wavs)


class NoiseCuts:
    """Random excerpts of noise recordings, which are loaded on the first call.

    For ``noise_funct`` of ``speechbrain.augment.time_domain.AddNoise``. The
    folder holds mono ``*.flac`` files at the sampling rate of the clips; if it
    holds none, white noise is used and a warning logged.

    Arguments
    ---------
    folder : str
        Folder of the recordings.

    Example
    -------
    >>> import soundfile
    >>> folder = getfixture("tmpdir")
    >>> soundfile.write(folder / "hum.flac", [0.5] * 100, 16000)
    >>> NoiseCuts(folder)(torch.rand(2, 3))
    tensor([[0.5000, 0.5000, 0.5000],
            [0.5000, 0.5000, 0.5000]])
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.samples = None

    def __call__(self, wavs):
        """Draws an excerpt of the concatenated recordings for each clip.

        Arguments
        ---------
        wavs : torch.Tensor
            A batch ``[B, S]``, whose shape and device the noise gets.

        Returns
        -------
        torch.Tensor
            Noise ``[B, S]``; after their end, the recordings are repeated.
        """
        if self.samples is None:
            paths = sorted(self.folder.glob("*.flac"))
            recordings = [audio_io.load(path)[0][0] for path in paths]
            self.samples = torch.cat([*recordings, torch.zeros(0)])
            if not paths:
                logger.warning(
                    "%s holds no recordings of noise (*.flac): adding white "
                    "noise instead.",
                    self.folder,
                )
        total = len(self.samples)
        if total == 0:
            return torch.randn_like(wavs)
        self.samples = self.samples.to(wavs.device)
        B, S = wavs.shape
        start = torch.randint(total, (B, 1), device=wavs.device)
        index = start + torch.arange(S, device=wavs.device)
        return self.samples[index % total]
