"""Test that training steps do not read values from the device.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode


class CountReads(TorchDispatchMode):
    """Counts values that Python reads: on a GPU, each waits for its work."""

    reads = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.reads += "local_scalar" in function.__name__
        return function(*args, **(kwargs or {}))


def make_brain(device, losses=None):
    """A brain that fits a linear model; notes the mean loss of an epoch."""
    from speechbrain import Brain, Stage

    class Fit(Brain):
        def compute_forward(self, batch, stage):
            return self.modules.model(batch.to(self.device))

        def compute_objectives(self, predictions, batch, stage):
            loss = predictions.square().mean()
            if losses is not None:
                losses.append(loss.item())
            return loss

        def on_stage_end(self, stage, stage_loss, epoch=None):
            if stage == Stage.TRAIN:
                self.mean = stage_loss

    return Fit(
        {"model": torch.nn.Linear(4, 1)},
        lambda weights: torch.optim.SGD(weights, lr=0.01),
        run_opts={"device": device},
    )


def test_a_step_reads_no_value(device):
    brain = make_brain(device)
    brain.on_fit_start()
    brain.step = 1
    with CountReads() as counts:
        loss = brain.fit_batch(torch.ones(2, 4))
    assert counts.reads == 0
    assert loss.device.type == torch.device(device).type


def test_the_average_is_that_of_all_steps(device):
    losses = []
    brain = make_brain(device, losses)
    brain.fit(range(1), list(torch.randn(120, 2, 4)), progressbar=False)
    assert brain.mean == pytest.approx(sum(losses) / 120)


def test_losses_that_are_not_finite_still_end_the_training(device):
    batches = list(torch.randn(60, 2, 4))
    batches[10] = batches[10] * torch.nan
    with pytest.raises(ValueError, match="not finite"):
        make_brain(device).fit(range(1), batches, progressbar=False)
