"""Tests of the Brain of the recipes.

Authors
 * The speechbrain_fftp authors 2026
"""

import functools

import pytest
import torch

import speechbrain as sb
from fftp_tag.errors import InputError
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.utils.epoch_loop import EpochCounter
from speechbrain_fftp import core
from speechbrain_fftp.utils.metric_stats import MultiLabelStats


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


@pytest.fixture(autouse=True)
def no_data(monkeypatch):
    """There are no tables of clips to check."""
    monkeypatch.setattr(core, "check_data", lambda *args: None)


def make(Brain, checkpointer=None, functions=(), **run_opts):
    """A Brain of a linear model, with the mean losses of its epochs.

    ``functions`` are ``before`` and ``after`` of the yaml file.
    """

    class Fit(Brain):
        averages = []

        def compute_forward(self, batch, stage):
            return self.modules.model(batch)

        def compute_objectives(self, predictions, batch, stage):
            return (predictions - 1).square().mean()

        def on_stage_end(self, stage, stage_loss, epoch=None):
            self.averages.append(stage_loss)

    torch.manual_seed(0)
    return Fit(
        {"model": torch.nn.Linear(4, 1)},
        lambda weights: torch.optim.SGD(weights, lr=0.1),
        hparams={
            "seed": 1,
            "before": functions,
            "after": functions,
            "epoch_counter": EpochCounter(2),
            "batch_size": 2,
        },
        run_opts={"max_grad_norm": 1.0, **run_opts},
        checkpointer=checkpointer,
    )


def fit(brain, clips):
    """Trains for two epochs."""
    epochs = brain.hparams.epoch_counter
    brain.fit(epochs, clips, clips[:3], progressbar=False)
    return brain


def make_clips(count, bad=None, value=1.0):
    """Batches of random clips, one of them times a value."""
    torch.manual_seed(1)
    clips = list(torch.randn(count, 2, 4))
    if bad is not None:
        clips[bad] = clips[bad] * value
    return clips


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"grad_accumulation_factor": 3},
        {"debug": True},
        {"optimizer_step_limit": 2},
    ],
)
def test_losses_and_weights_are_those_of_speechbrain(options):
    """Bit by bit, also where an epoch ends early."""
    expected, found = (
        fit(make(Brain, **options), make_clips(20))
        for Brain in (sb.Brain, core.PluginBrain)
    )
    assert found.averages == expected.averages
    assert found.unread_loss is None
    assert found.optimizer_step == expected.optimizer_step
    for x, y in zip(found.modules.parameters(), expected.modules.parameters()):
        assert torch.equal(x, y)


@pytest.mark.parametrize("place", [3, 7, 9])
def test_a_loss_that_is_not_finite_ends_the_training_with_its_step(place):
    """One step later."""
    steps = []

    class Counted(core.PluginBrain):
        def on_fit_batch_end(self, *args):
            steps.append(args)

    clips = make_clips(10, place, torch.nan)
    with pytest.raises(InputError, match=f"step {place + 1} "):
        fit(make(Counted, nonfinite_patience=0), clips)
    assert len(steps) == min(place + 2, 10)
    # With as much patience, the weights do not become finite again
    with pytest.raises(InputError, match="Weights are not finite"):
        fit(make(core.PluginBrain, nonfinite_patience=200), clips)


@pytest.mark.parametrize("patience", [0, 200])
@pytest.mark.parametrize("place", [9, 13])
def test_no_bad_checkpoint_is_saved(patience, place):
    """Not even at the step whose loss has not been read yet."""
    checkpoints = Checkpoints()
    options = {"ckpt_interval_steps": 10, "nonfinite_patience": patience}
    with pytest.raises(InputError):
        fit(
            make(core.PluginBrain, checkpoints, **options),
            make_clips(30, place, torch.inf),
        )
    assert len(checkpoints.saved) == (place > 9)  # after step 10


def test_functions_of_the_yaml_get_the_data():
    """Those of `before` not in a test."""
    seen = []
    datasets = {"train": make_clips(9), "valid": [], "test": make_clips(3)}
    for is_test in (False, True):
        brain = make(
            core.PluginBrain,
            functions=[lambda *given: seen.append(given)],
            test_only=is_test,
        )
        core.check_training(brain, datasets)
        assert seen == [] if is_test else [(brain, datasets)]
        core.report_results(brain, datasets)
        assert seen.pop() == (brain, datasets)
        seen.clear()


def test_clips_that_cannot_be_read_are_an_input_error(tmp_path):
    """Before training, whatever a recipe raises."""
    path = tmp_path / "a.wav"

    def read(clip):
        raise ValueError(f"{clip} is not mono")

    dataset = DynamicItemDataset({"a": {"wav": str(path)}})
    dataset.add_dynamic_item(read, "wav", "sig")
    dataset.set_output_keys(["sig"])
    datasets = {"train": dataset, "valid": []}
    for message in ("a.wav is missing", "a.wav is not mono"):
        with pytest.raises(InputError, match=message):
            core.check_training(make(core.PluginBrain), datasets)
        path.touch()


@pytest.mark.parametrize(
    "labels, is_scored",
    [
        (["Dog;Bark", "Bark;Dog"], False),  # classes have positive clips alone
        (["", ""], False),
        (["Dog", "Dog;Bark"], True),
    ],
)
def test_a_split_in_which_no_class_can_be_scored(tmp_path, labels, is_scored):
    """As MultiLabelStats cannot score it, after a first epoch."""
    names = ["Bark", "Dog"]
    targets = torch.tensor(
        [[float(name in x.split(";")) for name in names] for x in labels]
    )
    stats = MultiLabelStats()
    stats.append(range(len(labels)), torch.rand(len(labels), 2), targets)
    path = tmp_path / "a.wav"
    path.touch()
    rows = [{"wav": str(path), "labels": x} for x in labels]
    datasets = {
        "train": make_clips(3),
        "valid": DynamicItemDataset(dict(enumerate(rows))),
    }
    brain = make(core.PluginBrain)
    for score in (
        stats.summarize,
        functools.partial(core.check_training, brain, datasets),
    ):
        if is_scored:
            score()
        else:
            with pytest.raises(ValueError, match="(?i)no class"):
                score()


def test_an_epoch_without_a_step_is_an_input_error():
    brain = make(core.PluginBrain, grad_accumulation_factor=5)
    core.check_training(brain, {"train": make_clips(9), "valid": []})
    with pytest.raises(InputError, match="grad_accumulation_factor 5"):
        core.check_training(brain, {"train": make_clips(8), "valid": []})
