"""Tests of mixup.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch


def make_batch(clips, samples, device):
    """Clips padded with zeros, and their lengths."""
    torch.manual_seed(0)
    n_samples = torch.randint(1, samples + 1, (clips,))
    n_samples[0] = samples
    wavs = torch.randn(clips, samples)
    wavs[torch.arange(samples) >= n_samples[:, None]] = 0.0
    lengths = n_samples / samples
    return wavs.to(device), lengths.to(device)


def test_labels_are_mixed_as_the_waveforms_are(device):
    from speechbrain.augment.mixup import Mixup

    wavs, lengths = make_batch(64, 200, device)
    mixed, out_lengths, mix = Mixup(prob=0.6)(wavs, lengths)
    # With one label per clip, the labels are the shares of all clips
    shares = mix(torch.eye(64, device=device))
    torch.testing.assert_close(mixed, shares @ wavs, rtol=0, atol=1e-5)
    torch.testing.assert_close(shares.sum(1), torch.ones(64, device=device))
    assert (shares > 0).sum(1).max() == 2 and shares.min() == 0
    assert torch.equal(out_lengths, ((shares > 0) * lengths).amax(1))
    # Labels of time steps, too
    frames = torch.rand(64, 7, 3, device=device)
    expected = torch.einsum("ij,jtc->itc", shares, frames)
    torch.testing.assert_close(mix(frames), expected)


@pytest.mark.parametrize("alpha", [1.0, 10.0])
def test_shares_follow_the_beta_distribution(device, alpha):
    from speechbrain.augment.mixup import Mixup

    _, _, mix = Mixup(prob=0.5, alpha=alpha)(*make_batch(4096, 2, device))
    shares = mix.weight
    assert abs((shares < 1).float().mean() - 0.5) < 0.03
    shares = shares[shares < 1]
    assert abs(shares.mean() - 0.5) < 0.02
    assert abs(shares.var() * 4 * (2 * alpha + 1) - 1) < 0.15


def test_identity_in_eval_mode_and_without_probability(device):
    from speechbrain.augment.mixup import Mixup

    wavs, lengths = make_batch(8, 200, device)
    for mixup in (Mixup(prob=1.0).eval(), Mixup(prob=0.0)):
        mixed, out_lengths, mix = mixup(wavs, lengths)
        assert torch.equal(mixed, wavs) and torch.equal(out_lengths, lengths)
        assert torch.equal(mix(torch.eye(8)), torch.eye(8))
