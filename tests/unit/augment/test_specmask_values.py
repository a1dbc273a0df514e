"""Tests of what SpecMask does to values, and where it is used.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from speechbrain.augment.augmenter import Augmenter
from speechbrain_fftp.augment.specmask import SpecMask


def test_fill_is_the_mean_of_the_valid_frames():
    torch.manual_seed(0)
    feats = torch.randn(4, 200, 32) + torch.arange(4.0)[:, None, None]
    lengths = torch.tensor([1.0, 0.5, 0.8, 0.31])
    before = feats.clone()
    masked = SpecMask(0.2, patch=(5, 8))(feats, lengths)
    assert torch.equal(feats, before)
    for clip, out, length in zip(feats, masked, lengths):
        n = round(200 * length.item())
        changed = out != clip
        assert changed[:n].any() and not changed[n:].any()
        mean = clip[:n].mean().expand(int(changed.sum()))
        torch.testing.assert_close(out[changed], mean, rtol=0, atol=1e-5)


@pytest.mark.parametrize("frames", [0, 1, 4])
def test_clip_shorter_than_a_grid_cell_is_unchanged(frames):
    feats = torch.randn(3, 100, 32)
    lengths = torch.tensor([1.0, frames / 100, 0.5])
    for budget in (0.5, 800):
        masked = SpecMask(budget, patch=(5, 8))(feats, lengths)
        assert torch.equal(masked[1], feats[1])
        assert not torch.equal(masked[0], feats[0])


def test_eval_mode_is_the_identity_and_draws_nothing():
    mask = SpecMask(0.5).eval()
    feats = torch.randn(2, 100, 128)
    state = torch.get_rng_state()
    assert torch.equal(mask(feats, torch.ones(2)), feats)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(mask.train()(feats), feats)


def test_augmenter_passes_the_lengths():
    mask = SpecMask(0.3, patch=(5, 8))
    augment = Augmenter(
        min_augmentations=1, max_augmentations=1, augmentations=[mask]
    )
    feats = torch.randn(3, 200, 32)
    lengths = torch.tensor([1.0, 0.6, 0.3])
    out, out_lengths = augment(feats, lengths)
    assert torch.equal(out_lengths, lengths)
    masked = (out != feats).sum((1, 2))
    cells = 0.3 * lengths * 6400
    assert (masked - cells).abs().max() <= 20
    for clip, before, n in zip(out, feats, (200, 120, 60)):
        assert torch.equal(clip[n:], before[n:])


def test_bfloat16_keeps_its_type():
    torch.manual_seed(0)
    feats = (torch.randn(2, 400, 128) - 3).bfloat16()
    out = SpecMask(0.2, patch=(5, 16))(feats)
    assert out.dtype == torch.bfloat16
    for clip, before in zip(out, feats):
        changed = clip != before
        fill = clip[changed].unique()
        assert len(fill) == 1
        mean = before.float().mean().item()
        assert fill.item() == pytest.approx(mean, abs=0.05)


def test_fill_has_nothing_of_what_the_padding_holds():
    torch.manual_seed(0)
    feats = torch.randn(1, 400, 32)
    feats[:, 200:] = float("nan")
    out = SpecMask(0.2, patch=(5, 8))(feats, torch.tensor([0.5]))
    changed = out[:, :200] != feats[:, :200]
    fill = out[:, :200][changed].unique()
    assert len(fill) == 1
    assert fill.item() == pytest.approx(feats[:, :200].mean().item(), abs=1e-5)


@pytest.mark.parametrize(
    "name, value",
    [("budget", 1.5), ("full_freq_ratio", 1.1), ("patch", (0, 16))],
)
def test_errors(name, value):
    with pytest.raises(ValueError, match=name):
        SpecMask(**{"budget": 0.2, name: value})
