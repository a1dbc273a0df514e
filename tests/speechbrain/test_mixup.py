"""Tests of mixup.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch


def test_labels_are_mixed_as_the_waveforms_are(device):
    from speechbrain.augment.mixup import Mixup

    torch.manual_seed(0)
    lengths = (torch.arange(64, 0, -1) / 64).to(device)
    wavs = torch.randn(64, 200, device=device)
    mixed, out_lengths, mix = Mixup(prob=0.6)(wavs, lengths)
    # With one label per clip, the labels are the shares of all clips
    shares = mix(torch.eye(64, device=device))
    torch.testing.assert_close(mixed, shares @ wavs, rtol=0, atol=1e-5)
    torch.testing.assert_close(shares.sum(1), torch.ones(64, device=device))
    assert (shares > 0).sum(1).max() == 2 and shares.min() == 0
    assert torch.equal(out_lengths, ((shares > 0) * lengths).amax(1))
    # Frame-level labels, too
    frames = torch.rand(64, 7, 3, device=device)
    expected = torch.einsum("ij,jtc->itc", shares, frames)
    torch.testing.assert_close(mix(frames), expected)


@pytest.mark.parametrize("alpha", [10.0, 1.0])
def test_shares_follow_the_beta_distribution(device, alpha):
    """By default half of the clips, and Beta(10, 10), as in AST."""
    from speechbrain.augment.mixup import Mixup

    torch.manual_seed(0)
    mixup = Mixup() if alpha == 10 else Mixup(alpha=alpha)
    shares = mixup(torch.randn(4096, 2, device=device))[2].weight
    assert abs((shares < 1).float().mean() - 0.5) < 0.03
    shares = shares[shares < 1]
    assert abs(shares.mean() - 0.5) < 0.02
    assert abs(shares.var() * 4 * (2 * alpha + 1) - 1) < 0.15


def test_identity_in_eval_mode_and_without_probability(device):
    from speechbrain.augment.mixup import Mixup

    wavs, lengths = torch.randn(8, 200, device=device), torch.rand(8)
    for mixup in (Mixup(prob=1.0).eval(), Mixup(prob=0.0)):
        mixed, out_lengths, mix = mixup(wavs, lengths)
        assert torch.equal(mixed, wavs)
        assert torch.equal(out_lengths, lengths)
        assert torch.equal(mix(wavs), wavs)
