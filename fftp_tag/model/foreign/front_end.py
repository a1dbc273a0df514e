"""Kaldi's mel filterbanks as an ONNX graph, written without PyTorch.

They equal ``torchaudio.compliance.kaldi.fbank`` and kaldi-native-fbank without
dither, whose names the options have.

Authors
 * The speechbrain_fftp authors 2026
"""

import dataclasses

import numpy as np

from fftp_tag.model.frames import add_fourier_matrices, add_frames
from fftp_tag.model.graphs import GraphBuilder

FLOOR = np.finfo(np.float32).eps  # of energies, before their logarithm


@dataclasses.dataclass(frozen=True)
class Fbank:
    """Options of Kaldi's filterbanks, and the sizes that follow from them.

    Arguments
    ---------
    n_mels, sample_rate : int
        Number of mel bins, and sampling rate in Hz.
    milliseconds : int
        Length of a frame; frames are 10 ms apart.
    window_type : str
        "hanning"; "hann", of a period of the frame; or "povey", Kaldi's own.
    snip_edges : bool
        Whether all frames are within the clip; otherwise they are centred, and
        the clip is continued by its reflection.
    remove_dc_offset : bool
        Whether the mean of each frame is subtracted.
    preemphasis : float
        Of each frame, by its previous sample.
    low_freq, high_freq : float
        Where the mel bins begin and end in Hz, the latter relative to half the
        rate.
    """

    n_mels: int
    sample_rate: int = 16000
    milliseconds: int = 25
    window_type: str = "hanning"
    snip_edges: bool = True
    remove_dc_offset: bool = True
    preemphasis: float = 0.97
    low_freq: float = 20.0
    high_freq: float = 0.0

    @property
    def size(self) -> int:
        """Samples of a frame."""
        return self.sample_rate * self.milliseconds // 1000

    @property
    def shift(self) -> int:
        """Samples from one frame to the next."""
        return self.sample_rate // 100

    @property
    def n_fft(self) -> int:
        """The size of a frame, rounded up to a power of two."""
        return 1 << (self.size - 1).bit_length()

    def samples(self, n_frames: int) -> int:
        """Samples of the shortest clip with so many frames."""
        if self.snip_edges:
            return (n_frames - 1) * self.shift + self.size
        return n_frames * self.shift - self.shift // 2

    def window(self) -> np.ndarray:
        """The factors of the samples of a frame."""
        period = self.size - (self.window_type != "hann")
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.size) / period)
        return window**0.85 if self.window_type == "povey" else window

    def banks(self) -> np.ndarray:
        """Weights of the frequencies in mel bins, ``[n_fft / 2, n_mels]``.

        Triangles in mel; half the sampling rate itself is in none.
        """
        nyquist = self.sample_rate / 2
        ends = np.array([self.low_freq, nyquist + self.high_freq])
        low, high = mel(ends)
        edges = np.linspace(low, high, self.n_mels + 2)
        left, centre, right = edges[:-2], edges[1:-1], edges[2:]
        n_frequencies = self.n_fft // 2
        mels = mel(np.arange(n_frequencies) * nyquist / n_frequencies)[:, None]
        rise = (mels - left) / (centre - left)
        fall = (right - mels) / (right - centre)
        return np.maximum(np.minimum(rise, fall), 0)


def mel(frequency: np.ndarray) -> np.ndarray:
    """Kaldi's mel scale."""
    return 1127 * np.log1p(frequency / 700)


def add_energies(build: GraphBuilder, wavs: str, options: Fbank) -> str:
    """Adds mel energies ``[B, T, n_mels]`` of waveforms ``[B, S]``.

    S is at least the size of a frame.
    """
    if not options.snip_edges:
        wavs = add_reflection(build, wavs, options)
    frames = add_frames(build, wavs, options.size, options.shift)
    if options.remove_dc_offset:
        frames = build.Sub(frames, build.ReduceMean(frames, -1))
    if options.preemphasis:
        # The first sample of a frame has no previous one, but itself
        first = build.Slice(frames, 0, 1, 2)
        before = build.Slice(frames, 0, -1, 2)
        before = build.Concat(first, before, axis=2)
        amount = np.float32(options.preemphasis)
        frames = build.Sub(frames, build.Mul(before, amount))
    frames = build.Mul(frames, options.window().astype(np.float32))
    real, imaginary = (
        build.MatMul(frames, part)
        for part in add_fourier_matrices(
            build, options.size, options.n_fft, options.n_fft // 2
        )
    )
    power = build.Add(build.Mul(real, real), build.Mul(imaginary, imaginary))
    return build.MatMul(power, options.banks().astype(np.float32))


def add_reflection(build: GraphBuilder, wavs: str, options: Fbank) -> str:
    """Continues waveforms on both sides, for frames that are centred."""
    size, shift = options.size, options.shift
    n_samples = build.Shape(wavs, start=1, end=2)
    n_frames = build.Div(build.Add(n_samples, shift // 2), shift)
    length = build.Add(build.Mul(n_frames, shift), size - shift)
    index = build.Range(np.array(0), build.Squeeze(length), np.array(1))
    index = build.Sub(index, size // 2 - shift // 2)
    # Sample -1 is sample 0, and sample S is sample S - 1
    before = build.Sub(build.Neg(index), 1)
    index = build.Max(index, before)
    after = build.Sub(build.Sub(build.Mul(n_samples, 2), 1), index)
    return build.Gather(wavs, build.Min(index, after), axis=1)


def add_log(build: GraphBuilder, energies: str) -> str:
    """Adds the natural logarithm of energies."""
    return build.Log(build.Max(energies, FLOOR))
