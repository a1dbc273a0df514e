"""Tests of a linear warm-up with cosine decay.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch


def sgd():
    """An optimiser with two groups of parameters, the second with a scale."""
    groups = [{"params": [torch.zeros(1)], "lr": 7.0 + g} for g in (0, 1)]
    groups[1]["lr_scale"] = 0.25
    return torch.optim.SGD(groups)


@pytest.mark.parametrize("warmup, total, final", [(5, 20, 0.0), (2, 9, 0.02)])
def test_equals_torch(warmup, total, final):
    from speechbrain.nnet.schedulers import LinearWarmupCosine

    schedule = LinearWarmupCosine(0.1, warmup, total, final)
    optimizer, peer = sgd(), torch.optim.SGD([torch.zeros(1)], lr=0.1)
    linear = torch.optim.lr_scheduler.LinearLR(
        peer, start_factor=1 / warmup, total_iters=warmup - 1
    )
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(
        peer, T_max=total - warmup, eta_min=final
    )
    sequence = torch.optim.lr_scheduler.SequentialLR(
        peer, [linear, cosine], milestones=[warmup - 1]
    )
    for _ in range(total):
        rate = schedule(optimizer)
        rates = [group["lr"] for group in optimizer.param_groups]
        assert rates == [rate, rate / 4]
        assert rate == pytest.approx(peer.param_groups[0]["lr"], abs=1e-9)
        peer.step()
        sequence.step()


def test_a_warmup_to_the_end_is_an_error():
    from speechbrain.nnet.schedulers import LinearWarmupCosine

    with pytest.raises(ValueError, match="total_steps"):
        LinearWarmupCosine(0.1, warmup_steps=5, total_steps=5)
