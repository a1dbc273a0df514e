"""Features in ONNX: the same as torch's, of operators that are fast there.

ONNX Runtime would gather overlapping frames sample by sample, and transform
them one by one. Here, frames are joined from blocks of one shift, and their
Fourier transforms are one matrix product, whose rounding errors are not above
those of an FFT in float32.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import onnx
import onnxscript
import torch

op = onnxscript.opset18


def real_fft(frames, dimensions, normalization, onesided):
    """``torch.fft.rfft`` of the last axis of ``[B, T, N]``, as a product.

    Complex numbers have a last axis of their own, ``[B, T, N / 2 + 1, 2]``.
    """
    spectra = np.fft.rfft(np.eye(frames.shape[-1]))  # [N, N / 2 + 1]
    products = np.concatenate([spectra.real, spectra.imag], 1)
    products = onnx.numpy_helper.from_array(products.astype(np.float32))
    spectrum = op.MatMul(frames, op.Constant(value=products))
    parts = op.Reshape(spectrum, integers(0, 0, 2, -1))
    return op.Transpose(parts, perm=[0, 1, 3, 2])


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
OPERATORS = {
    torch.ops.aten._fft_r2c.default: real_fft,
    torch.ops.aten.unfold.default: unfold,
}
