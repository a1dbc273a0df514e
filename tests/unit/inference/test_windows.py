"""Tests of windows of samples: of blocks, files and arrays.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import soundfile as sf
import torch

from speechbrain_fftp.inference.windows import mono_waveform, read_blocks

RATE = 16000


def noise(samples, seed=0, channels=None):
    shape = samples if channels is None else (samples, channels)
    return 0.2 * np.random.default_rng(seed).standard_normal(shape)


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
