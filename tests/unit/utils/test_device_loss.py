"""Tests of the Brain that leaves the losses of steps on the device.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch


class Checkpoints:
    """Remembers which checkpoints were saved."""

    def __init__(self):
        self.saved = []

    def recover_if_possible(self, **options):
        """There is none yet."""

    def add_recoverable(self, name, recoverable, **options):
        """Called for the Brain itself, its optimiser and its loader."""

    def save_and_keep_only(self, **options):
        self.saved.append(options)


def fit(Brain, clips, checkpointer=None, **run_opts):
    """Trains a linear model; gives the Brain and mean losses of epochs."""
    import speechbrain as sb

    averages = []

    class Fit(Brain):
        def compute_forward(self, batch, stage):
            return self.modules.model(batch)

        def compute_objectives(self, predictions, batch, stage):
            return (predictions - 1).square().mean()

        def on_stage_end(self, stage, stage_loss, epoch=None):
            if stage == sb.Stage.TRAIN and hasattr(self, "average_loss"):
                stage_loss = self.average_loss()
            averages.append(stage_loss)

    torch.manual_seed(0)
    brain = Fit(
        {"model": torch.nn.Linear(4, 1)},
        lambda weights: torch.optim.SGD(weights, lr=0.1),
        run_opts={"max_grad_norm": 1.0, **run_opts},
        checkpointer=checkpointer,
    )
    brain.averages = averages
    brain.fit(range(1, 3), clips, clips[:3], progressbar=False)
    return brain


@pytest.mark.parametrize("accumulation", [1, 3])
def test_losses_and_weights_are_those_of_speechbrain(accumulation):
    """Bit by bit, over 120 steps: two readings and a rest in each epoch."""
    import speechbrain as sb
    from speechbrain_fftp.utils.brain import DeviceLossBrain

    torch.manual_seed(1)
    clips = list(torch.randn(120, 2, 4))
    options = {"grad_accumulation_factor": accumulation}
    expected, found = (
        fit(Brain, clips, **options) for Brain in (sb.Brain, DeviceLossBrain)
    )
    assert found.averages == expected.averages
    assert len(found.averages) == 4  # training and validation, two epochs
    for x, y in zip(found.modules.parameters(), expected.modules.parameters()):
        assert torch.equal(x, y)
    assert found.optimizer_step == expected.optimizer_step


def test_a_loss_that_is_not_finite_ends_the_training_with_its_step():
    """At the next reading, after step 50, 100 or the end."""
    from speechbrain_fftp.utils.brain import DeviceLossBrain

    clips = list(torch.randn(120, 2, 4))
    clips[56] = clips[56] * torch.nan
    with pytest.raises(SystemExit, match="step 57 "):
        fit(DeviceLossBrain, clips, nonfinite_patience=0)
    # With as much patience, the weights do not become finite again
    with pytest.raises(SystemExit, match="step 120 "):
        fit(DeviceLossBrain, clips, nonfinite_patience=200)


@pytest.mark.parametrize("patience", [0, 200])
def test_no_bad_checkpoint_is_saved(patience):
    from speechbrain_fftp.utils.brain import DeviceLossBrain

    clips = list(torch.randn(30, 2, 4))
    clips[13] = clips[13] * torch.inf
    checkpoints = Checkpoints()
    options = {"ckpt_interval_steps": 10, "nonfinite_patience": patience}
    with pytest.raises(SystemExit):
        fit(DeviceLossBrain, clips, checkpoints, **options)
    assert len(checkpoints.saved) == 1  # after step 10
