"""Tests of mel spectrograms in decibels.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch
from torchaudio import transforms

from speechbrain_fftp.pretrained.mel_decibels import MelDecibels


@pytest.mark.parametrize(
    "sample_rate, n_mels, n_fft, hop, f_min, f_max, samples",
    [
        (16000, 64, 512, 160, 0.0, 8000.0, 16000),
        (8000, 20, 256, 80, 50.0, 3500, 129),
        (44100, 40, 1023, 441, 0.0, 22050.0, 9999),
    ],
)
def test_decibels_equal_torchaudio(
    sample_rate, n_mels, n_fft, hop, f_min, f_max, samples
):
    torch.manual_seed(0)
    wavs = 0.1 * torch.randn(2, samples)
    wavs[1, samples // 3 :] = 0.0  # silence, at the floor of the clip
    levels = MelDecibels(sample_rate, n_mels, n_fft, hop, f_min, f_max)(wavs)
    mel = transforms.MelSpectrogram(
        sample_rate, n_fft, None, hop, f_min, f_max, n_mels=n_mels
    )
    decibels = transforms.AmplitudeToDB(top_db=120)
    for wav, found in zip(wavs, levels):
        expected = decibels(mel(wav)).T
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-3)
