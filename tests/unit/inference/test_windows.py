"""Tests of windows of samples: of blocks, files and arrays.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import soundfile as sf
import torch

from speechbrain_fftp.inference.windows import (
    WindowCutter,
    mono_waveform,
    read_blocks,
)

RATE = 16000


def noise(samples, seed=0, channels=None):
    shape = samples if channels is None else (samples, channels)
    return 0.2 * np.random.default_rng(seed).standard_normal(shape)


def by_hand(total, size, hop):
    """Windows from a definition: as long as they fit, and one at the end."""
    starts = [
        round(k * hop) for k in range(30) if round(k * hop) + size < total
    ]
    return [(x, x + size) for x in starts] + [(max(0, total - size), total)]


@pytest.mark.parametrize("total", [1, 8, 9, 21, 24])
@pytest.mark.parametrize("size, hop", [(8, 4), (8, 8), (5, 2.5), (3, 9)])
@pytest.mark.parametrize("block", [1, 6])
def test_windows_do_not_depend_on_blocks(total, size, hop, block):
    wav = np.arange(total)
    cutter = WindowCutter(size, hop)
    found = []
    for n in range(0, total, block):
        found += cutter.push(wav[n : n + block])
    found.append(cutter.finish())
    assert cutter.end == total
    spans = [(start, start + len(samples)) for start, samples in found]
    assert spans == by_hand(total, size, hop)
    for start, samples in found:
        np.testing.assert_array_equal(
            samples, wav[start : start + len(samples)]
        )


def test_files_are_mixed_down_and_resampled(tmp_path):
    expected = 0.4 * np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    for rate in (8000, 44100, 48000):
        tone = 0.4 * np.sin(2 * np.pi * 1000 * np.arange(rate) / rate)
        path = tmp_path / f"{rate}.wav"
        sf.write(path, np.stack([1.5 * tone, 0.5 * tone], 1), rate, "FLOAT")
        wav = np.concatenate(list(read_blocks(path, RATE)))
        assert wav.shape == (16000,)
        middle = slice(200, -200)
        assert np.abs(wav[middle] - expected[middle]).max() < 5e-3


WAV = noise(8000)


@pytest.mark.parametrize(
    "wav",
    [
        WAV,
        np.stack([1.5 * WAV, 0.5 * WAV]),
        np.stack([1.5 * WAV, 0.5 * WAV], 1),
        torch.tensor(WAV),
        np.round(WAV * 2**15).astype(np.int16),
        np.round(WAV * 2**31).astype(np.int32),
    ],
    ids=str,
)
def test_arrays_of_all_kinds_are_the_same_waveform(wav):
    found = mono_waveform(wav, RATE, RATE)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, WAV, atol=2**-15)
