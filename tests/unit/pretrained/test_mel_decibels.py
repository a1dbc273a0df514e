"""Tests of mel spectrograms in decibels.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch
import torchaudio

from speechbrain_fftp.pretrained.mel_decibels import MelDecibels


def random_clips(clips, samples, seed=0):
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(clips, samples, generator=generator)
    tone = torch.sin(torch.arange(samples) * 0.3)
    return 0.05 * noise + 0.3 * tone


def decibels(wav, sample_rate=16000, top_db=120, **sizes):
    """A clip's levels by torchaudio, ``[T, n_mels]``."""
    transforms = torchaudio.transforms
    mel = transforms.MelSpectrogram(sample_rate, **sizes)(wav)
    return transforms.AmplitudeToDB(top_db=top_db)(mel).T


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
    wavs = random_clips(2, samples)
    wavs[1, samples // 3 :] = 0.0  # silence, at the floor of the clip
    levels = MelDecibels(sample_rate, n_mels, n_fft, hop, f_min, f_max)(wavs)
    sizes = {"n_mels": n_mels, "n_fft": n_fft, "hop_length": hop}
    for wav, found in zip(wavs, levels):
        expected = decibels(wav, sample_rate, **sizes, f_min=f_min, f_max=f_max)
        torch.testing.assert_close(
            found[: len(expected)], expected, rtol=0, atol=2e-3
        )
        assert len(found) == 1 + samples // hop
