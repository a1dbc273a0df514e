"""Tests of SpecAugment.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch
from recipe_brains import load_tiny

from speechbrain_fftp.augment.spec_augment import SpecAugment

CLIPS, FRAMES, BINS = 4000, 40, 32


def runs(masked):
    """First position and width of the masked range of each row ``[B, N]``."""
    width = masked.sum(1)
    first = masked.float().argmax(1)
    last = masked.shape[1] - masked.flip(1).float().argmax(1)
    assert torch.equal((last - first)[width > 0], width[width > 0])  # one range
    return first, width


@pytest.mark.parametrize("yaml", ["", "speechcommands/"])
def test_fill_is_that_of_ast(yaml, tmp_path):
    """Its code masks log-mels with 0, then normalises them."""
    hparams = load_tiny(f"{yaml}ast_fftp.yaml", tmp_path)
    augment = hparams["spec_augment"]
    feats = hparams["mean_var_norm"](torch.full((1, 8, BINS), -6.0))
    augment.bins = BINS
    masked = augment(feats.expand(CLIPS, -1, -1))
    zero = hparams["mean_var_norm"](torch.zeros(()))
    torch.testing.assert_close(masked.max(), zero)
    assert masked.unique().numel() == 2


@pytest.mark.parametrize("axis, longest", [("bins", 12), ("frames", 20)])
def test_widths_are_uniform_and_masks_lie_within(axis, longest):
    torch.manual_seed(0)
    augment = SpecAugment(**{"bins": 0, "frames": 0, axis: longest})
    masked = augment(torch.ones(CLIPS, FRAMES, BINS)) == 0
    masked = masked.all(1) if axis == "bins" else masked.all(2)
    first, width = runs(masked)
    counts = width.bincount(minlength=longest + 1) / CLIPS
    expected = 1 / (longest + 1)
    error = (expected * (1 - expected) / CLIPS) ** 0.5
    assert ((counts - expected).abs() < 4 * error).all()
    # Each start at which the mask lies within is equally likely
    start = first[width > 0] / (masked.shape[1] - width[width > 0])
    assert start.min() == 0 and start.max() == 1
    assert abs(start.mean() - 0.5) < 4 * (0.11 / CLIPS) ** 0.5


def test_padding_is_not_masked():
    torch.manual_seed(0)
    lengths = torch.linspace(0.05, 1, CLIPS)
    n_frames = (lengths * FRAMES).round().long()
    masked = SpecAugment(0, 30)(torch.ones(CLIPS, FRAMES, BINS), lengths) == 0
    first, width = runs(masked.all(2))
    assert (first + width <= n_frames)[width > 0].all()
    assert (width == n_frames).any()  # short clips may be masked as a whole


def test_only_in_training_and_not_in_place():
    feats = torch.rand(8, FRAMES, BINS)
    before = feats.clone()
    augment = SpecAugment(BINS, FRAMES)
    assert not torch.equal(augment(feats), feats)
    assert torch.equal(feats, before)
    assert augment.eval()(feats) is feats
