"""Frames of waveforms and their Fourier transform, as nodes of an ONNX graph.

``build`` is a ``GraphBuilder``, or another object whose attributes add operators:
numbers among their inputs become arrays of one element, and arrays constants.

Authors
 * The speechbrain_fftp authors 2026
"""

from typing import Any

import numpy as np


def add_frames(build: Any, wavs: Any, size: int, shift: int) -> Any:
    """Adds frames ``[B, T, size]`` of waveforms ``[B, S]``, S at least ``size``.

    They are joined from blocks of one shift, which is faster than to gather them.
    """
    n_samples = build.Shape(wavs, start=1, end=2)
    n_frames = build.Add(build.Div(build.Sub(n_samples, size), shift), 1)
    length = build.Mul(n_frames, shift)
    n_blocks = -(-size // shift)  # rounded up
    wavs = build.Pad(wavs, np.array([0, 0, 0, n_blocks * shift]))
    blocks = []
    for start in range(0, n_blocks * shift, shift):
        block = build.Slice(wavs, start, build.Add(length, start), 1)
        blocks.append(build.Reshape(block, np.array([0, -1, shift])))
    return build.Slice(build.Concat(*blocks, axis=2), 0, size, 2)


def add_fourier_matrices(
    build: Any, size: int, n_fft: int, n_frequencies: int
) -> tuple[Any, Any]:
    """Adds the real and imaginary factors of a Fourier transform.

    By them, frames ``[..., size]`` are multiplied, each ``[size, n_frequencies]``.
    The file holds one period of a cosine and a sine, from which ONNX Runtime
    computes the matrices at loading.
    """
    phases = 2 * np.pi * np.arange(n_fft) / n_fft
    samples = build.Range(np.array(0), np.array(size), np.array(1))
    frequencies = build.Range(np.array(0), np.array(n_frequencies), np.array(1))
    index = build.Mul(build.Unsqueeze(samples, 1), frequencies)
    index = build.Mod(index, n_fft)
    return (
        build.Gather(np.cos(phases).astype(np.float32), index),
        build.Gather(-np.sin(phases).astype(np.float32), index),
    )
