"""Test of the chunks that SpectrogramDrop drops.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch


@pytest.mark.parametrize("dim", [1, 2])
def test_chunks_lie_within_the_spectrogram(dim, device):
    from speechbrain.augment.freq_domain import SpectrogramDrop

    torch.manual_seed(0)
    drop = SpectrogramDrop(
        drop_length_low=8,
        drop_length_high=9,  # exclusive
        drop_count_low=1,
        drop_count_high=1,
        dim=dim,
    )
    is_dropped = drop(torch.ones(4000, 20, 20, device=device)) == 0
    is_dropped = is_dropped.all(3 - dim)
    assert (is_dropped.sum(1) == 8).all()
    # Both ends are dropped equally often, in 1 of 13 places
    share = is_dropped.float().mean(0)
    assert torch.allclose(share, share.flip(0), atol=0.04)
    assert abs(share[0].item() - 1 / 13) < 0.02
