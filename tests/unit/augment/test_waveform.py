"""Tests of random gains.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from speechbrain.augment.augmenter import Augmenter
from speechbrain_fftp.augment.waveform import RandomGain


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


def test_gain_error():
    with pytest.raises(ValueError, match="decibels=-1"):
        RandomGain(decibels=-1)


def test_gain_of_nothing_changes_nothing():
    wavs = torch.randn(4, 10)
    assert torch.equal(RandomGain(decibels=0.0)(wavs), wavs)
    assert not RandomGain(decibels=9.0)(torch.zeros(4, 10)).any()


def test_in_an_augmenter():
    torch.manual_seed(0)
    wavs, lengths = torch.rand(2, 100) + 1, torch.tensor([1.0, 0.15])
    augment = Augmenter(
        min_augmentations=1,
        max_augmentations=1,
        augmentations=[RandomGain(decibels=6.0)],
    )
    out, out_lengths = augment(wavs, lengths)
    assert torch.equal(out_lengths, lengths)
    gains = out / wavs
    torch.testing.assert_close(gains, gains[:, :1].expand(2, 100))
    assert not torch.equal(gains[0], gains[1])
