"""Test that a negative max_grad_norm disables clipping.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch


@pytest.mark.parametrize("max_grad_norm", [-1.0, 1e9])
def test_gradients_are_not_clipped(max_grad_norm, device):
    from speechbrain import Brain

    brain = Brain(
        {"model": torch.nn.Linear(1, 1, bias=False)},
        lambda weights: torch.optim.SGD(weights, lr=0.5),
        run_opts={"device": device, "max_grad_norm": max_grad_norm},
    )
    brain.on_fit_start()
    weight = brain.modules.model.weight
    before = weight.item()
    weight.grad = torch.full_like(weight, 3.0)
    brain.optimizers_step()
    assert weight.item() == pytest.approx(before - 1.5)
