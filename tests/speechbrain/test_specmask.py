"""Tests of SpecMask.

Authors
 * The speechbrain_fftp authors 2026
"""

import random

import pytest
import torch


def test_draws_depend_on_the_seed_alone(device):
    """Sums of masked frames and bins that hold on all devices."""
    from speechbrain.augment.freq_domain import SpecMask

    feats = torch.rand(4, 1000, 128, device=device)
    torch.manual_seed(3)
    mask, lengths = SpecMask(0.2), torch.tensor([1.0, 0.8, 0.5, 0.2])
    masked = mask(feats, lengths) != feats
    assert masked.sum((1, 2)).tolist() == [25600, 20480, 12800, 5120]
    frame, bin = torch.arange(1000.0), torch.arange(128.0)
    by_frame, by_bin = masked.cpu().float().sum(2), masked.cpu().float().sum(1)
    of_frames = [14097200.0, 8973760.0, 2253600.0, 395840.0]
    assert (by_frame * frame).sum(1).tolist() == of_frames
    of_bins = [1511680.0, 1416960.0, 954880.0, 267520.0]
    assert (by_bin * bin).sum(1).tolist() == of_bins
    assert mask.eval()(feats) is feats


def test_random_sizes_spend_the_budget_to_half_a_cell(device):
    """Padding is not masked, and has no part in the mean that masks are."""
    from speechbrain.augment.freq_domain import SpecMask

    torch.manual_seed(5)
    pick = random.Random(5).choice
    for _ in range(100):
        n_mels, ratio = pick((40, 64, 128)), pick((0.0, 0.3, 0.7))
        patch = pick((1, 2, 3, 5, 10)), pick((4, 8))
        fraction, frames = pick((0.05, 0.2, 0.5, 0.6)), pick((100, 173, 400))
        feats = torch.randn(8, frames, n_mels, device=device)
        lengths = torch.rand(8).to(device)
        n_frames = (lengths * frames).round()
        padding = torch.arange(frames, device=device) >= n_frames[:, None]
        feats[padding] = torch.nan
        out = SpecMask(fraction, ratio, patch)(feats, lengths)
        assert out[padding].isnan().all()
        masked = (out != feats) & ~padding[..., None]
        # A clip of a few columns cannot always hold its budget
        fits = n_frames >= 20 * patch[0]
        error = masked.sum((1, 2)) - fraction * n_frames * n_mels
        half_a_cell = patch[0] * patch[1] / 2 + 1e-3
        assert (error[fits].abs() <= half_a_cell).all()
        assert (error <= half_a_cell).all()
        # Whole cells of the grid: [B, columns, rows, frames, bins]
        cells = masked.unfold(1, patch[0], patch[0])
        cells = cells.unfold(2, patch[1], patch[1])
        assert (cells.any((3, 4)) == cells.all((3, 4))).all()
        # The nearest number of full columns, if there are some to share
        columns = masked[:, :: patch[0]].all(2).sum(1)
        budget = fraction * n_frames / patch[0]
        error = columns - ratio * budget
        assert (error[fits & (budget >= 2)].abs() <= 0.5 + 1e-3).all()
        mean = feats.nanmean((1, 2)).repeat_interleave(masked.sum((1, 2)))
        torch.testing.assert_close(out[masked], mean, rtol=0, atol=1e-4)


def test_positions_cover_the_whole_clip(device):
    """But its ends less often, as the docstring says; both ends alike."""
    from speechbrain.augment.freq_domain import SpecMask

    torch.manual_seed(0)
    feats = torch.randn(3000, 1000, 8, device=device)
    masked = SpecMask(1600, patch=(5, 1))(feats) != feats
    cells = masked[:, ::5].float()
    columns = cells.mean((0, 2))  # how often each is masked
    middle = columns[30:-30]
    assert (middle / middle.mean() - 1).abs().max() < 0.2
    for end in (columns[:10], columns[-10:]):
        share = end.mean() / middle.mean()
        assert share.item() == pytest.approx(0.66, abs=0.05)
    boxes = cells * (cells.amin(2, keepdim=True) == 0)
    rows = boxes.mean((0, 1))
    torch.testing.assert_close(rows, rows.flip(0), rtol=0.15, atol=0)


def test_a_budget_is_split_uniformly(device):
    """Two columns, of 4 masks, whose 3 borders are before, between or after."""
    from speechbrain.augment.freq_domain import SpecMask

    torch.manual_seed(0)
    feats = torch.randn(4000, 400, 4, device=device)
    masked = SpecMask(8, 1.0, patch=(1, 1))(feats) != feats
    columns = masked.all(2)
    adjacent = (columns[:, 1:] & columns[:, :-1]).any(1).float()
    assert adjacent.mean().item() == pytest.approx((2 / 3) ** 3, abs=0.03)


def test_a_number_of_cells_is_at_most_three_quarters_of_a_short_clip(device):
    """In SpeechBrain's Augmenter, which passes the lengths."""
    from speechbrain.augment.augmenter import Augmenter
    from speechbrain.augment.freq_domain import SpecMask

    augment = Augmenter(
        min_augmentations=1,
        max_augmentations=1,
        augmentations=[SpecMask(25600)],
    )
    feats = torch.randn(5, 1000, 128, device=device)
    lengths = torch.tensor([1.0, 0.3, 0.2, 0.1, 0.05], device=device)
    masked = augment(feats, lengths)[0] != feats
    # 75 % of 38400, 25600, 12800 and 6400 cells of the shorter ones
    expected = torch.tensor([25600.0, 25600, 19200, 9600, 4800], device=device)
    assert (masked.sum((1, 2)) - expected).abs().max() <= 40


def test_impossible_arguments_are_errors():
    from speechbrain.augment.freq_domain import SpecMask

    for arguments, named in (
        ((25600.0,), "budget"),
        ((-1,), "budget"),
        ((0.2, 1.5), "full_freq_ratio"),
        ((0.2, 0.7, (0, 16)), "patch"),
        ((0.2, 0.7, (5, 16)), "bins"),
    ):
        with pytest.raises(ValueError, match=named):
            SpecMask(*arguments)(torch.rand(1, 100, 8))
