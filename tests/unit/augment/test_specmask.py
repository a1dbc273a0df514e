"""Tests of what SpecMask draws.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

from speechbrain_fftp.augment.specmask import SpecMask

# frames, budget, grid: the paper's two settings, and 10 s without padding
SETTINGS = [
    (1000, 25600, (5, 16)),
    (998, 25600, (5, 16)),
    (128, 1024, (2, 16)),
]


def draw(mask, clips, frames, n_mels=128, lengths=None, seed=0):
    """Which cells are masked, [B, T, F]."""
    torch.manual_seed(seed)
    feats = torch.randn(clips, frames, n_mels)
    return mask(feats, lengths) != feats


def grid_cells(masked, patch):
    """One value per whole grid cell; an error if a mask edge is off it."""
    frames, bins = patch
    T = masked.shape[1] // frames * frames
    F = masked.shape[2] // bins * bins
    cells = masked[:, :T:frames, :F:bins]
    whole = cells.repeat_interleave(frames, 1).repeat_interleave(bins, 2)
    assert torch.equal(whole, masked[:, :T, :F])
    return cells


@pytest.mark.parametrize("frames, budget, patch", SETTINGS)
def test_512_draws_at_the_papers_sizes(frames, budget, patch):
    masked = draw(SpecMask(budget, 0.7, patch), 512, frames)
    counts = masked.sum((1, 2))
    assert (counts - budget).abs().max() <= 0.05 * budget
    full_height = masked.all(2).sum(1) * 128
    share = full_height / counts
    assert share.min() >= 0.65 and share.max() <= 0.75
    cells = grid_cells(masked, patch)
    # What does not fill a grid cell at the end of the clip is never masked.
    assert not masked[:, frames // patch[0] * patch[0] :].any()
    # No overlap: a column holds one run of rows.
    runs = torch.nn.functional.pad(cells.int(), (1, 0)).diff(dim=2) > 0
    assert runs.sum(2).max() == 1
    # Boxes leave at least one row free and are of several heights.
    heights = cells.sum(2).unique().tolist()
    assert heights[0] == 0 and heights[-1] == 8 and len(heights) > 5


def test_number_and_width_of_masks_vary():
    mask = SpecMask(3200, patch=(5, 2))  # the grid of 25600 of 1000x128
    cells = grid_cells(draw(mask, 512, 1000, n_mels=16), (5, 2))
    full = torch.nn.functional.pad(cells.all(2).int(), (1, 1)).diff(dim=1)
    runs = (full > 0).sum(1)
    assert runs.min() >= 1 and runs.max() <= 4 and len(runs.unique()) == 4
    widest = [
        (ends.nonzero() - starts.nonzero()).max()
        for starts, ends in zip(full > 0, full < 0)
    ]
    widest = torch.stack(widest)
    assert widest.max() == 28 and widest.min() <= 10


def test_positions_cover_the_whole_clip():
    mask = SpecMask(3200, patch=(5, 2))
    masked = draw(mask, 3000, 1000, n_mels=16)
    cells = grid_cells(masked, (5, 2)).float()
    columns = cells.amax(2).mean(0)  # how often each of 200 is touched
    assert columns.min() > 0.02
    middle = columns[30:-30]
    assert (middle / middle.mean() - 1).abs().max() < 0.2
    ends = columns[:30].sum() / columns[-30:].sum()
    assert abs(ends - 1) < 0.1
    boxes = cells * (cells.amin(2, keepdim=True) == 0)
    rows = boxes.mean((0, 1))
    assert rows.min() > 0.5 * rows.mean()
    torch.testing.assert_close(rows, rows.flip(0), rtol=0.15, atol=0)


def test_random_sizes_spend_the_budget_to_half_a_cell():
    generator = torch.Generator().manual_seed(5)

    def pick(*options):
        index = torch.randint(len(options), (1,), generator=generator)
        return options[index]

    for case in range(150):
        n_mels, ratio = pick(40, 64, 128), pick(0.0, 0.3, 0.7)
        patch = pick(1, 2, 3, 5, 10), pick(4, 8)
        fraction, frames = pick(0.05, 0.2, 0.5, 0.6), pick(100, 173, 400)
        mask = SpecMask(fraction, ratio, patch, pick(1, 2, 6), pick(1, 3, 7))
        lengths = torch.rand(8, generator=generator)
        masked = draw(mask, 8, frames, n_mels, lengths, seed=case)
        n_frames = (lengths * frames).round()
        valid = torch.arange(frames) < n_frames[:, None]
        assert not (masked & ~valid[..., None]).any()
        grid_cells(masked, patch)
        # A clip of a few columns cannot always hold what it should.
        fits = n_frames >= 20 * patch[0]
        error = masked.sum((1, 2)) - fraction * n_frames * n_mels
        half_a_cell = patch[0] * patch[1] / 2
        assert (error[fits].abs() <= half_a_cell + 1e-3).all()
        assert (error <= half_a_cell + 1e-3).all()


def test_count_takes_at_most_three_quarters_of_a_short_clip():
    lengths = torch.tensor([1.0, 0.3, 0.2, 0.1, 0.05])
    masked = draw(SpecMask(25600), 5, 1000, lengths=lengths)
    # 75 % of 38400, 25600, 12800 and 6400 cells of the shorter ones
    expected = torch.tensor([25600.0, 25600, 19200, 9600, 4800])
    assert (masked.sum((1, 2)) - expected).abs().max() <= 40


def test_bins_that_are_no_multiple_of_the_grid():
    # Rows 0..15, 16..31, and 32..39, which is cut off.
    masked = draw(SpecMask(0.3, 0.5, (4, 16)), 256, 400, n_mels=40)
    full = masked.all(2)
    boxes = masked & ~full[..., None]
    assert boxes[..., :32].any() and not boxes[..., 32:].any()
    assert torch.equal(full, masked[..., 39])
    error = masked.sum((1, 2)) - 0.3 * 16000
    assert error.abs().max() <= 32


@pytest.mark.parametrize("lengths", [None, torch.tensor([1.0, 0.5, 0.8])])
def test_no_gradient_through_the_fill(lengths):
    torch.manual_seed(0)
    feats = torch.randn(3, 100, 32, requires_grad=True)
    masked = SpecMask(0.3)(feats, lengths)
    hidden = masked.detach() != feats.detach()
    assert hidden.any()
    masked.sum().backward()
    assert torch.equal(feats.grad, (~hidden).float())
