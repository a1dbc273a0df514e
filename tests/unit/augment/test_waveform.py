"""Tests of what is done to waveforms.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import soundfile
import torch

from speechbrain.augment.time_domain import AddNoise
from speechbrain_fftp.augment.waveform import (
    NoiseCuts,
    RandomGain,
    RandomLowPass,
    RandomShift,
)


def test_gain_is_constant_in_a_clip_and_uniform_in_decibels():
    torch.manual_seed(0)
    wavs = torch.randn(5000, 3)
    before = wavs.clone()
    out = RandomGain(decibels=9.0)(wavs)
    assert torch.equal(wavs, before)
    ratio = out / wavs
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))
    decibels = 20 * ratio[:, 0].log10()
    assert decibels.min() >= -9.001 and decibels.max() <= 9.001
    quantiles = decibels.quantile(torch.tensor([0.1, 0.25, 0.5, 0.75, 0.9]))
    expected = torch.tensor([-7.2, -4.5, 0.0, 4.5, 7.2])
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


def test_shift_brings_in_zeros_by_any_number_of_samples():
    torch.manual_seed(0)
    wavs = torch.arange(1.0, 41.0).repeat(2000, 1)
    shifted = RandomShift(max_shift=3)(wavs, torch.full((2000,), 0.5))
    assert torch.equal(shifted[:, 20:], wavs[:, 20:])
    places = (shifted[:, :20] == 10).float().argmax(1)
    shifts = (places - 9).tolist()
    for shift, row in zip(shifts, shifted):
        expected = torch.zeros(26)  # the clip between zeros
        expected[3 + shift : 23 + shift] = wavs[0, :20]
        assert torch.equal(row[:20], expected[3:23])
    counts = torch.tensor(shifts).add(3).bincount()
    assert len(counts) == 7 and counts.min() > 200


def test_shift_never_loses_more_than_half_of_a_clip():
    torch.manual_seed(0)
    wavs = torch.ones(500, 10)
    assert torch.equal(RandomShift(0)(wavs, torch.ones(500)), wavs)
    out = RandomShift(1000)(wavs, torch.full((500,), 0.6))
    assert torch.equal(out[:, 6:], wavs[:, 6:])
    assert out[:, :6].sum(1).unique().tolist() == [3, 4, 5, 6]


@pytest.fixture
def recordings(tmp_path):
    """Two recordings, whose samples count up from 0 and from 700."""
    counter = torch.arange(1000.0) / 1000
    for name, part in zip("ab", counter.split(700)):
        soundfile.write(tmp_path / f"{name}.flac", part.numpy(), 16000)
    return tmp_path


def test_cuts_are_consecutive_samples_from_everywhere(recordings):
    torch.manual_seed(0)
    cuts = NoiseCuts(recordings)(torch.zeros(3000, 8))
    steps = (cuts * 1000).round().diff(dim=1)
    assert ((steps == 1) | (steps == -999)).all()
    assert len((cuts[:, 0] * 1000).round().unique()) > 900
    # A cut longer than all recordings begins again.
    long = NoiseCuts(recordings)(torch.zeros(1, 2500))[0]
    assert torch.equal(long[:1000], long[1000:2000])


def test_noise_has_the_level_that_was_asked_for(recordings):
    torch.manual_seed(0)
    wavs = torch.randn(20, 4000)
    noises = []

    def keep(wavs):
        noises.append(cuts(wavs))
        return noises[-1].clone()

    cuts = NoiseCuts(recordings)
    add = AddNoise(snr_low=10, snr_high=10, noise_funct=keep)
    out = add(wavs, torch.ones(20))
    # out = a * clean + b * noise: the ratio of their levels is 10 dB.
    parts = torch.stack([wavs, noises[0]], dim=2)
    weights = torch.linalg.lstsq(parts, out[..., None]).solution[..., 0]
    level = (parts * weights[:, None]).square().mean(1).sqrt()
    decibels = 20 * (level[:, 0] / level[:, 1]).log10()
    torch.testing.assert_close(
        decibels, torch.full((20,), 10.0), rtol=0.02, atol=0
    )


def test_without_recordings_there_is_white_noise(tmp_path, caplog):
    torch.manual_seed(0)
    noise = NoiseCuts(tmp_path)
    wavs = noise(torch.zeros(4, 16000))
    assert wavs.std().item() == pytest.approx(1.0, abs=0.02)
    assert wavs.mean().item() == pytest.approx(0.0, abs=0.02)
    noise(torch.zeros(4, 16000))
    assert caplog.text.count(str(tmp_path)) == 1
