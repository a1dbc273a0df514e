"""Tests of mixup; tests/speechbrain has those of its labels and shares.

Authors
 * The speechbrain_fftp authors 2026
"""

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


def test_a_mixed_clip_lasts_as_long_as_the_longer_one():
    wavs, lengths, labels = make_batch()
    mixed, out_lengths, mixture = Mixup(prob=0.6)(wavs, lengths, labels)
    expected = ((mixture > 0) * lengths).amax(1)
    assert torch.equal(out_lengths, expected)
    assert (out_lengths > lengths).any() and (mixture.diagonal() == 1).any()
    for wav, length in zip(mixed, out_lengths):
        n = round(200 * length.item())
        assert wav[n - 1] != 0 and not wav[n:].any()


def test_identity_without_probability_in_eval_and_for_one_clip():
    batch = make_batch(8)
    for mixup in (Mixup(prob=0.0), Mixup(prob=1.0).eval()):
        for out, expected in zip(mixup(*batch), batch):
            assert torch.equal(out, expected)
    single = make_batch(1)
    for out, expected in zip(Mixup(prob=1.0)(*single), single):
        torch.testing.assert_close(out, expected)
