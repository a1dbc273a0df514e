"""Tests of mixup.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from speechbrain_fftp.augment.mixup import Mixup


def make_batch(clips=64, samples=200, seed=0):
    """Clips padded with zeros, lengths, and a label for each clip."""
    torch.manual_seed(seed)
    n_samples = torch.randint(1, samples + 1, (clips,))
    n_samples[0] = samples
    wavs = torch.randn(clips, samples)
    wavs[torch.arange(samples) >= n_samples[:, None]] = 0.0
    return wavs, n_samples / samples, torch.eye(clips)


def test_labels_are_mixed_as_the_waveforms_are():
    wavs, lengths, labels = make_batch()
    before = wavs.clone(), lengths.clone(), labels.clone()
    mixed, _, mixture = Mixup(prob=1.0)(wavs, lengths, labels)
    # With one label per clip, the labels are the shares of all clips.
    torch.testing.assert_close(mixed, mixture @ wavs, rtol=0, atol=1e-5)
    torch.testing.assert_close(mixture.sum(1), torch.ones(64))
    assert ((mixture > 0).sum(1) <= 2).all()
    assert mixture.min() >= 0 and (mixture.diagonal() > 0).all()
    # Each clip is mixed into one other.
    assert ((mixture > 0).sum(0) <= 2).all()
    for now, then in zip((wavs, lengths, labels), before):
        assert torch.equal(now, then)


def test_a_mixed_clip_lasts_as_long_as_the_longer_one():
    wavs, lengths, labels = make_batch()
    mixed, out_lengths, mixture = Mixup(prob=0.6)(wavs, lengths, labels)
    expected = ((mixture > 0) * lengths).amax(1)
    assert torch.equal(out_lengths, expected)
    assert (out_lengths > lengths).any() and (mixture.diagonal() == 1).any()
    for wav, length in zip(mixed, out_lengths):
        n = round(200 * length.item())
        assert wav[n - 1] != 0 and not wav[n:].any()


@pytest.mark.parametrize("alpha", [1.0, 10.0])
def test_shares_follow_the_beta_distribution(alpha):
    wavs, lengths, labels = make_batch(4096, 2)
    _, _, mixture = Mixup(prob=1.0, alpha=alpha)(wavs, lengths, labels)
    share = mixture.diagonal()
    share = share[share < 1]
    variance = 1 / (4 * (2 * alpha + 1))
    assert abs(share.mean() - 0.5) < 0.02
    assert abs(share.var() / variance - 1) < 0.1
    assert share.min() > 0


@pytest.mark.parametrize("prob", [0.3, 0.5])
def test_probability(prob):
    wavs, lengths, labels = make_batch(4096, 2)
    _, _, mixture = Mixup(prob=prob)(wavs, lengths, labels)
    mixed = (mixture.diagonal() < 1).float().mean()
    assert abs(mixed - prob) < 0.03


def test_identity_without_probability_in_eval_and_for_one_clip():
    batch = make_batch(8)
    for mixup in (Mixup(prob=0.0), Mixup(prob=1.0).eval()):
        for out, expected in zip(mixup(*batch), batch):
            assert torch.equal(out, expected)
    single = make_batch(1)
    for out, expected in zip(Mixup(prob=1.0)(*single), single):
        torch.testing.assert_close(out, expected)


@pytest.mark.parametrize(
    "kwargs, message",
    [
        ({"prob": 1.1}, "prob=1.1"),
        ({"prob": -0.1}, "prob=-0.1"),
        ({"alpha": 0.0}, "alpha=0.0"),
        ({"alpha": -1.0}, "alpha=-1.0"),
    ],
)
def test_errors(kwargs, message):
    with pytest.raises(ValueError, match=message):
        Mixup(**kwargs)
