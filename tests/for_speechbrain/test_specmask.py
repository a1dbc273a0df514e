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
    from speechbrain_fftp.augment.specmask import SpecMask

    feats = torch.rand(64, frames, 128, device=device)
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
    # Seven tenths of it in columns of full height
    columns = (counts > 0).all(2).sum(1) * patch[0] * 128
    assert ((columns - 0.7 * budget).abs() <= patch[0] * 128).all()
    # The fill is the mean of the clip
    mean = feats.mean((1, 2))
    torch.testing.assert_close(
        out[masked], mean.repeat_interleave(spent), rtol=1e-4, atol=1e-5
    )


def test_padding_is_neither_masked_nor_counted(device):
    from speechbrain_fftp.augment.specmask import SpecMask

    feats = torch.rand(8, 200, 32, device=device)
    lengths = torch.full((8,), 0.5, device=device)
    masked = SpecMask(budget=0.25, patch=(5, 8))(feats, lengths) != feats
    assert not masked[:, 100:].any()
    assert (masked.sum((1, 2)) == 800).all()


def test_only_in_training_and_not_in_place(device):
    from speechbrain_fftp.augment.specmask import SpecMask

    feats = torch.rand(2, 100, 32, device=device)
    before = feats.clone()
    mask = SpecMask(budget=0.5, patch=(5, 8))
    assert not torch.equal(mask(feats), feats)
    assert torch.equal(feats, before)
    assert mask.eval()(feats) is feats


def test_impossible_arguments_are_errors():
    from speechbrain_fftp.augment.specmask import SpecMask

    with pytest.raises(ValueError, match="budget"):
        SpecMask(budget=1.5)
    with pytest.raises(ValueError, match="patch"):
        SpecMask(budget=0.2, patch=(0, 16))
    with pytest.raises(ValueError, match="bins"):
        SpecMask(budget=0.2, patch=(5, 16))(torch.rand(1, 100, 8))
