"""Tests of random crops and gains.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from speechbrain.augment.augmenter import Augmenter
from speechbrain_fftp.augment.waveform import RandomCrop, RandomGain


def counting_clips(n_samples, size):
    """Sample s of a clip has the value s; padding is -1."""
    wavs = torch.arange(float(size)).repeat(len(n_samples), 1)
    n_samples = torch.as_tensor(n_samples)
    wavs[torch.arange(size) >= n_samples[:, None]] = -1.0
    return wavs, n_samples / size


def test_crop_is_an_excerpt_of_the_valid_part():
    torch.manual_seed(0)
    wavs, lengths = counting_clips([100, 99, 71, 21, 20, 19, 1], 100)
    before = wavs.clone()
    crop = RandomCrop(seconds=2.0, sample_rate=10)
    for _ in range(50):
        out, out_lengths = crop(wavs, lengths)
        expected = torch.tensor([1.0, 1, 1, 1, 1, 0.95, 0.05])
        torch.testing.assert_close(out_lengths, expected)
        start = out[:, :1]
        assert (start[4:] == 0).all()  # no longer than 20: whole
        excerpt = start + torch.arange(20)
        assert torch.equal(out[:5], excerpt[:5])
        assert torch.equal(out[5], wavs[5, :20])
        assert torch.equal(out[6], wavs[6, :20])
    assert torch.equal(wavs, before)


def test_crop_starts_anywhere_with_equal_probability():
    torch.manual_seed(0)
    wavs, lengths = counting_clips([24] * 10000 + [20] * 100, 30)
    out, _ = RandomCrop(seconds=2.0, sample_rate=10)(wavs, lengths)
    counts = out[:10000, 0].long().bincount(minlength=5)
    assert len(counts) == 5
    assert ((counts / 2000 - 1).abs() < 0.1).all()
    assert not out[10000:, 0].any()


def test_crop_leaves_short_batches_as_they_are():
    wavs, lengths = counting_clips([20, 7], 20)
    crop = RandomCrop(seconds=2.0, sample_rate=10)
    out, out_lengths = crop(wavs, lengths)
    assert torch.equal(out, wavs) and torch.equal(out_lengths, lengths)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e-6])
def test_crop_errors(seconds):
    with pytest.raises(ValueError, match="must be positive"):
        RandomCrop(seconds=seconds)


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


def test_both_in_an_augmenter():
    torch.manual_seed(0)
    wavs, lengths = counting_clips([100, 15], 100)
    augment = Augmenter(
        min_augmentations=2,
        max_augmentations=2,
        augmentations=[
            RandomCrop(seconds=2.0, sample_rate=10),
            RandomGain(decibels=6.0),
        ],
    )
    out, out_lengths = augment(wavs, lengths)
    assert out.shape == (2, 20)
    torch.testing.assert_close(out_lengths, torch.tensor([1.0, 0.75]))
    steps = out[0].diff()
    torch.testing.assert_close(steps, steps[:1].expand(19), rtol=1e-3, atol=0)
    assert 10 ** (-6 / 20) <= steps[0] <= 10 ** (6 / 20)
    assert (out[1, 15:] < 0).all() and (out[1, 1:15] > 0).all()
