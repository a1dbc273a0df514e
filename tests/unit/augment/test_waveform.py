"""Tests of what is done to waveforms.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import soundfile
import torch

from speechbrain_fftp.augment.waveform import (
    NoiseCuts,
    RandomGain,
    RandomLowPass,
    RandomShift,
)


def test_gain_is_constant_in_a_clip_and_uniform_in_decibels():
    torch.manual_seed(0)
    wavs = torch.randn(5000, 3)
    ratio = RandomGain(decibels=9.0)(wavs) / wavs
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))
    decibels = 20 * ratio[:, 0].log10()
    quantiles = decibels.quantile(torch.tensor([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]))
    expected = torch.tensor([-9.0, -7.2, -4.5, 0.0, 7.2, 9.0])
    torch.testing.assert_close(quantiles, expected, rtol=0, atol=0.4)


def test_low_pass_keeps_what_is_below_a_random_frequency():
    torch.manual_seed(0)
    wavs = torch.randn(2000, 160)  # bins of 100 Hz
    low_pass = RandomLowPass(16000, lowest=4000.0, prob=0.5)
    before, after = torch.fft.rfft(wavs), torch.fft.rfft(low_pass(wavs))
    is_kept = after.abs() > 1e-3 * before.abs()
    torch.testing.assert_close(after[is_kept], before[is_kept])
    assert is_kept[:, :41].all()
    assert not is_kept.int().diff().clamp(min=0).any()  # one edge in each clip
    kept = is_kept.float().mean(0)
    expected = 0.5 + 0.5 * torch.linspace(1, 0, 41)
    torch.testing.assert_close(kept[40:], expected, rtol=0, atol=0.05)


@pytest.mark.parametrize("max_shift, largest", [(3, 3), (1000, 10)])
def test_shift_brings_in_zeros_and_never_loses_half_of_a_clip(
    max_shift, largest
):
    torch.manual_seed(0)
    wavs = torch.arange(1.0, 41.0).repeat(2000, 1)
    shifted = RandomShift(max_shift)(wavs, torch.full((2000,), 0.5))
    assert torch.equal(shifted[:, 20:], wavs[:, 20:])
    # Each shift of the clip between zeros, about equally often
    alone = torch.nn.functional.pad(wavs[0, :20], (largest, largest))
    found, counts = shifted[:, :20].unique(dim=0, return_counts=True)
    assert torch.equal(found, alone.unfold(0, 20, 1).unique(dim=0))
    assert counts.min() > 0.6 * 2000 / (2 * largest + 1)


def test_cuts_are_consecutive_samples_from_everywhere(tmp_path):
    """Of two recordings, whose samples count up from 0 and from 700."""
    counter = torch.arange(1000.0) / 1000
    for name, part in zip("ab", counter.split(700)):
        soundfile.write(tmp_path / f"{name}.flac", part.numpy(), 16000)
    torch.manual_seed(0)
    cuts = NoiseCuts(tmp_path)(torch.zeros(3000, 8))
    steps = (cuts * 1000).round().diff(dim=1)
    assert ((steps == 1) | (steps == -999)).all()
    assert len((cuts[:, 0] * 1000).round().unique()) > 900
    # A cut longer than all recordings begins again.
    long = NoiseCuts(tmp_path)(torch.zeros(1, 2500))[0]
    assert torch.equal(long[:1000], long[1000:2000])


def test_without_recordings_there_is_white_noise(tmp_path, caplog):
    torch.manual_seed(0)
    noise = NoiseCuts(tmp_path)
    for _ in range(2):
        wavs = noise(torch.zeros(4, 16000))
        assert wavs.std().item() == pytest.approx(1.0, abs=0.02)
    assert caplog.text.count(str(tmp_path)) == 1
