"""Tests of SpecMask.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch


@pytest.mark.parametrize(
    "frames, budget, patch", [(1000, 25600, (5, 16)), (128, 1024, (2, 16))]
)
def test_budget_grid_and_share(device, frames, budget, patch):
    from speechbrain.augment.freq_domain import SpecMask

    feats = torch.rand(8, frames, 128, device=device)
    mask = SpecMask(budget=budget, full_freq_ratio=0.7, patch=patch)
    out = mask(feats)
    masked = out != feats
    # The budget in each clip, to half a cell of the grid
    cell = patch[0] * patch[1]
    spent = masked.sum((1, 2))
    assert ((spent - budget).abs() <= cell / 2).all()
    # Whole cells of the grid: [B, columns, rows]
    cells = masked.unfold(1, patch[0], patch[0]).unfold(2, patch[1], patch[1])
    counts = cells.sum((3, 4))
    assert ((counts == 0) | (counts == cell)).all()
    # Seven tenths of the budget in full-height columns
    columns = (counts > 0).all(2).sum(1) * patch[0] * 128
    assert ((columns - 0.7 * budget).abs() <= patch[0] * 128).all()
    # The fill is the mean of the clip
    mean = feats.mean((1, 2))
    torch.testing.assert_close(
        out[masked], mean.repeat_interleave(spent), rtol=1e-4, atol=1e-5
    )


def test_only_in_training_and_not_in_place(device):
    from speechbrain.augment.freq_domain import SpecMask

    feats = torch.rand(2, 100, 32, device=device)
    before = feats.clone()
    mask = SpecMask(budget=0.5, patch=(5, 8))
    assert not torch.equal(mask(feats), feats)
    assert torch.equal(feats, before)
    assert mask.eval()(feats) is feats


def test_random_sizes_spend_the_budget_to_half_a_cell(device):
    from speechbrain.augment.freq_domain import SpecMask

    generator = torch.Generator().manual_seed(5)

    def pick(*options):
        """One of the options."""
        index = torch.randint(len(options), (1,), generator=generator)
        return options[index]

    for _ in range(100):
        n_mels, ratio = pick(40, 64, 128), pick(0.0, 0.3, 0.7)
        patch = pick(1, 2, 3, 5, 10), pick(4, 8)
        fraction, frames = pick(0.05, 0.2, 0.5, 0.6), pick(100, 173, 400)
        mask = SpecMask(fraction, ratio, patch, pick(1, 2, 6), pick(1, 3, 7))
        feats = torch.randn(8, frames, n_mels, device=device)
        lengths = torch.rand(8, generator=generator).to(device)
        masked = mask(feats, lengths) != feats
        n_frames = (lengths * frames).round()
        padding = torch.arange(frames, device=device) >= n_frames[:, None]
        assert not masked[padding].any()
        # A clip of a few columns cannot always hold its budget
        fits = n_frames >= 20 * patch[0]
        error = masked.sum((1, 2)) - fraction * n_frames * n_mels
        half_a_cell = patch[0] * patch[1] / 2 + 1e-3
        assert (error[fits].abs() <= half_a_cell).all()
        assert (error <= half_a_cell).all()


def test_positions_cover_the_whole_clip(device):
    from speechbrain.augment.freq_domain import SpecMask

    torch.manual_seed(0)
    feats = torch.randn(3000, 1000, 16, device=device)
    masked = SpecMask(3200, patch=(5, 2))(feats) != feats
    cells = masked[:, ::5, ::2].float()
    columns = cells.amax(2).mean(0)  # share of clips that mask each column
    assert columns.min() > 0.02
    middle = columns[30:-30]
    assert (middle / middle.mean() - 1).abs().max() < 0.2
    boxes = cells * (cells.amin(2, keepdim=True) == 0)
    rows = boxes.mean((0, 1))
    torch.testing.assert_close(rows, rows.flip(0), rtol=0.15, atol=0)


def test_a_number_of_cells_is_at_most_three_quarters_of_a_short_clip(device):
    from speechbrain.augment.freq_domain import SpecMask

    feats = torch.randn(5, 1000, 128, device=device)
    lengths = torch.tensor([1.0, 0.3, 0.2, 0.1, 0.05], device=device)
    masked = SpecMask(25600)(feats, lengths) != feats
    # 75 % of 38400, 25600, 12800 and 6400 cells of the shorter ones
    expected = torch.tensor([25600.0, 25600, 19200, 9600, 4800], device=device)
    assert (masked.sum((1, 2)) - expected).abs().max() <= 40


def test_no_gradient_through_the_fill(device):
    from speechbrain.augment.freq_domain import SpecMask

    feats = torch.randn(3, 100, 32, device=device, requires_grad=True)
    masked = SpecMask(0.3)(feats, torch.tensor([1.0, 0.5, 0.8], device=device))
    hidden = masked.detach() != feats.detach()
    masked.sum().backward()
    assert hidden.any() and torch.equal(feats.grad, (~hidden).float())


def test_padding_has_no_part_in_the_fill(device):
    from speechbrain.augment.freq_domain import SpecMask

    feats = torch.randn(1, 400, 32, device=device)
    feats[:, 200:] = float("nan")
    lengths = torch.tensor([0.5], device=device)
    out = SpecMask(0.2, patch=(5, 8))(feats, lengths)[:, :200]
    fill = out[out != feats[:, :200]]
    mean = feats[:, :200].mean().expand(len(fill))
    torch.testing.assert_close(fill, mean, rtol=0, atol=1e-5)


def test_augmenter_passes_the_lengths(device):
    from speechbrain.augment.augmenter import Augmenter
    from speechbrain.augment.freq_domain import SpecMask

    augment = Augmenter(
        min_augmentations=1,
        max_augmentations=1,
        augmentations=[SpecMask(0.3, patch=(5, 8))],
    )
    feats = torch.randn(3, 200, 32, device=device)
    lengths = torch.tensor([1.0, 0.6, 0.3], device=device)
    out, _ = augment(feats, lengths)
    masked = (out != feats).sum((1, 2))
    assert (masked - 0.3 * lengths * 6400).abs().max() <= 20


def test_impossible_arguments_are_errors():
    from speechbrain.augment.freq_domain import SpecMask

    with pytest.raises(ValueError, match="budget"):
        SpecMask(budget=1.5)
    with pytest.raises(ValueError, match="patch"):
        SpecMask(budget=0.2, patch=(0, 16))
    with pytest.raises(ValueError, match="bins"):
        SpecMask(budget=0.2, patch=(5, 16))(torch.rand(1, 100, 8))
