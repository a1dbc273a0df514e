"""Features in ONNX: the same as torch's, of operators that are fast there.

ONNX Runtime would gather overlapping frames sample by sample, and transform
them one by one. Here, frames are joined from blocks of one shift, and their
Fourier transforms are one matrix product, whose rounding errors are not above
those of an FFT in float32.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools

import onnxscript
import torch

op = onnxscript.opset18


def use_matrix_products(front_end):
    """Makes a front end compute Fourier transforms as matrix products."""
    spectra = torch.fft.rfft(torch.eye(front_end.n_fft, dtype=torch.float64))
    front_end.mel_power = functools.partial(
        mel_power, spectra.real.float(), spectra.imag.float(), front_end.banks
    )


def mel_power(real, imag, banks, frames):
    """``KaldiFbank.mel_power``, of the spectra of each sample of a frame.

    ``real`` and ``imag`` are ``[n_fft, n_fft / 2 + 1]``.
    """
    size = frames.shape[-1]
    power = (frames @ real[:size]).square() + (frames @ imag[:size]).square()
    return power @ banks


def unfold(wavs, dimension, size, step):
    """``torch.Tensor.unfold`` of waveforms ``[B, S]``: ``[B, T, size]``."""
    n_samples = op.Shape(wavs, start=1, end=2)
    n_frames = op.Div(op.Sub(n_samples, integers(size)), integers(step))
    length = op.Mul(op.Add(n_frames, integers(1)), integers(step))
    n_blocks = -(-size // step)  # rounded up
    wavs = op.Pad(wavs, integers(0, 0, 0, n_blocks * step))
    blocks = []
    for number in range(n_blocks):
        start = integers(number * step)
        block = op.Slice(wavs, start, op.Add(start, length), integers(1))
        blocks.append(op.Reshape(block, integers(0, -1, step)))
    frames = op.Concat(*blocks, axis=2)
    return op.Slice(frames, integers(0), integers(size), integers(2))


def integers(*values):
    """A constant list of integers."""
    return op.Constant(value_ints=list(values))


# As ``torch.onnx.export(custom_translation_table=...)`` takes them
OPERATORS = {torch.ops.aten.unfold.default: unfold}
