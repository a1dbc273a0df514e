"""Tests of a moving average of the weights.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch

import speechbrain as sb
from speechbrain.utils.checkpoints import Checkpointer
from speechbrain.utils.epoch_loop import EpochCounter
from speechbrain_fftp import core
from speechbrain_fftp.training.moving_average import keep_average
from speechbrain_fftp.training.throughput import Throughput

DECAY = 0.6


class Stop(Exception):
    """The process is killed."""


class Fit(core.Brain):
    """Trains a linear model; collects its weights at each step."""

    def compute_forward(self, batch, stage):
        weights = self.modules.model.weight.detach().clone()
        self.seen[stage].append(weights)
        if len(self.seen[sb.Stage.TRAIN]) == self.killed_at:
            raise Stop
        return self.modules.model(batch)

    def compute_objectives(self, predictions, batch, stage):
        return (predictions - 1).square().mean()

    def on_stage_end(self, stage, stage_loss, epoch=None):
        self.train_stats = {}
        if stage == sb.Stage.VALID:
            self.checkpointer.save_checkpoint(meta={"epoch": epoch})


def make_brain(folder, killed_at=None, epochs=2):
    """A Brain that trains on ten clips."""
    torch.manual_seed(0)
    model, counter = torch.nn.Linear(4, 1), EpochCounter(epochs)
    brain = Fit(
        {"model": model},
        lambda weights: torch.optim.SGD(weights, lr=0.1, momentum=0.9),
        hparams={
            "seed": 1,
            "before": [lambda *args: keep_average(*args, decay=DECAY)],
            "after": [],
            "epoch_counter": counter,
            "throughput": Throughput(batch_size=2),
        },
        run_opts={"ckpt_interval_steps": 4},
        checkpointer=Checkpointer(folder, {"model": model, "counter": counter}),
    )
    brain.seen = {stage: [] for stage in sb.Stage}
    brain.killed_at = killed_at
    return brain


def fit(brain):
    """Trains; returns the trained weights and their average."""
    torch.manual_seed(1)
    clips = list(torch.randn(10, 2, 4))
    loader = brain.make_dataloader(clips, sb.Stage.TRAIN, batch_size=None)
    brain.fit(brain.hparams.epoch_counter, loader, clips[:1], progressbar=False)
    average = brain.moving_average.module["model"].weight
    return brain.modules.model.weight.detach(), average.detach()


@pytest.fixture(autouse=True)
def no_data(monkeypatch):
    """There are no tables of clips to check."""
    monkeypatch.setattr(core, "check_data", lambda *args: None)


def test_the_average_is_validated_saved_and_tested(tmp_path):
    brain = make_brain(tmp_path)
    trained, average = fit(brain)
    steps = brain.seen[sb.Stage.TRAIN]
    weights = [*steps[1:], trained]  # after each step
    expected = [weights[0]]
    for weight in weights[1:]:
        expected.append(DECAY * expected[-1] + (1 - DECAY) * weight)
    torch.testing.assert_close(average, expected[-1])
    first, last = brain.seen[sb.Stage.VALID]
    torch.testing.assert_close(first, expected[9])
    torch.testing.assert_close(last, expected[19])
    assert not torch.allclose(last, trained)
    brain.evaluate([torch.randn(2, 4)], progressbar=False)
    assert torch.equal(brain.seen[sb.Stage.TEST][0], last)
    saved = brain.checkpointer.find_checkpoint().paramfiles["model"]
    assert torch.equal(torch.load(saved)["weight"], last)


@pytest.mark.parametrize("killed_at", [6, 12, 17])
def test_a_resumed_training_is_the_same(killed_at, tmp_path):
    """From a checkpoint within an epoch, or at its end."""
    expected = fit(make_brain(tmp_path / "whole"))
    with pytest.raises(Stop):
        fit(make_brain(tmp_path / "parts", killed_at))
    brain = make_brain(tmp_path / "parts")
    found = fit(brain)
    assert 0 < len(brain.seen[sb.Stage.TRAIN]) < 20
    torch.testing.assert_close(found, expected)
