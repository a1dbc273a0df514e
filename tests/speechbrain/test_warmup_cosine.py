"""Tests of a linear warm-up with cosine decay.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch


@pytest.mark.parametrize("warmup, total, final", [(5, 20, 0.0), (2, 9, 0.02)])
def test_equals_torch(tmp_path, warmup, total, final):
    """Also if a checkpoint is loaded within the warm-up."""
    from speechbrain.nnet.schedulers import LinearWarmupCosine

    schedule = LinearWarmupCosine(0.1, warmup, total, final)
    groups = [{"params": [torch.zeros(1)], "lr": lr} for lr in (7.0, 8.0)]
    optimizer = torch.optim.SGD(groups)
    peer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    linear = torch.optim.lr_scheduler.LinearLR(
        peer, start_factor=1 / warmup, total_iters=warmup - 1
    )
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(
        peer, T_max=total - warmup, eta_min=final
    )
    sequence = torch.optim.lr_scheduler.SequentialLR(
        peer, [linear, cosine], milestones=[warmup - 1]
    )
    for step in range(total):
        if step == 1:
            schedule.save(tmp_path / "schedule")
            schedule = LinearWarmupCosine(0.1, warmup, total, final)
            schedule.load(tmp_path / "schedule")
        rate = schedule(optimizer)
        rates = [group["lr"] for group in optimizer.param_groups]
        assert rates == [rate, rate]
        assert rate == pytest.approx(peer.param_groups[0]["lr"], abs=1e-9)
        peer.step()
        sequence.step()
    # torch's rises again
    assert schedule(optimizer) == pytest.approx(final)
    with pytest.raises(ValueError, match="total_steps"):
        LinearWarmupCosine(0.1, warmup_steps=5, total_steps=5)
