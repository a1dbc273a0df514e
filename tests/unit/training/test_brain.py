"""Tests of the training loop that the recipes share, with a tiny model.

Authors
 * The speechbrain_fftp authors 2026
"""

from functools import partial
from types import SimpleNamespace

import pytest
import torch
import yaml

import speechbrain as sb
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.lobes.features import Fbank
from speechbrain.nnet.losses import bce_loss
from speechbrain.utils.epoch_loop import EpochCounter
from speechbrain_fftp.datasets.batches import collate_clips
from speechbrain_fftp.lobes.features import DatasetNormalization, KaldiFbank
from speechbrain_fftp.lobes.tagger import Tagger
from speechbrain_fftp.nnet.schedulers import LinearWarmupCosine
from speechbrain_fftp.training.brain import ClipBrain
from speechbrain_fftp.training.checkpoints import AtomicCheckpointer


class Encoder(torch.nn.Module):
    """Averages features over time, the padding included."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(40, 8)

    def forward(self, feats, lens=None):
        return self.layer(feats).mean(1, keepdim=True)


class Augment(SimpleNamespace):
    """Changes nothing, and counts its calls."""

    calls = 0

    def __call__(self, *args):
        self.calls += 1
        return args

    def replicate_labels(self, targets):
        return targets


class Saver(AtomicCheckpointer):
    """Notes at which step each checkpoint within an epoch is saved."""

    def save_and_keep_only(self, end_of_epoch=True, **kwargs):
        if not end_of_epoch:
            self.steps.append(self.recoverables["brain"].step)
        super().save_and_keep_only(end_of_epoch=end_of_epoch, **kwargs)


class Brain(ClipBrain):
    criterion = "hits"

    def probabilities(self, logits):
        return logits.sigmoid()

    def score(self, targets, probs):
        return {"hits": ((probs > 0.5) == targets).double().mean().item()}


def clips(number=8):
    torch.manual_seed(0)
    targets = torch.eye(2)[torch.arange(number) % 2]
    lengths = [8000 - 500 * i for i in range(number)]
    return [
        {"id": f"clip {i}", "sig": torch.randn(n), "targets": targets[i]}
        for i, n in enumerate(lengths)
    ]


def loader(number=8):
    return torch.utils.data.DataLoader(
        clips(number), batch_size=2, collate_fn=collate_clips
    )


def make_brain(folder, fbank=KaldiFbank, cost=bce_loss, **options):
    torch.manual_seed(0)
    labels = CategoricalEncoder()
    labels.update_from_iterable(["Siren", "Beep"])
    modules = {
        "compute_features": fbank(n_mels=40),
        "mean_var_norm": DatasetNormalization(),
        "embedding_model": Encoder(),
        "classifier": torch.nn.Linear(8, 2),
    }
    counter = EpochCounter(1)
    trained = ("embedding_model", "classifier")
    recoverables = {name: modules[name] for name in trained}
    saver = Saver(folder, {**recoverables, "epoch_counter": counter})
    saver.steps = []
    writer = SimpleNamespace(
        add_scalar=lambda *args: None,
        add_text=lambda *args: None,
        add_image=lambda *args, **kwargs: None,
    )
    frozen_epochs = options.pop("frozen_epochs", 0)
    brain = Brain(
        labels,
        modules,
        wav_augment=Augment(),
        mixup=Augment(),
        fea_augment=Augment(),
        compute_cost=cost,
        epoch_counter=counter,
        frozen_epochs=frozen_epochs,
        avg_checkpoints=1,
        seed=0,
        train_logger=SimpleNamespace(log_stats=lambda *args, **kwargs: None),
        tensorboard_logger=SimpleNamespace(writer=writer),
        run=SimpleNamespace(folder=str(folder), begin=lambda: None),
        data_description="noise",
        opt_class=partial(torch.optim.AdamW, lr=0.1),
        checkpointer=saver,
        run_opts={"device": "cpu", "noprogressbar": True, **options},
    )
    brain.set_schedule(partial(LinearWarmupCosine, lr=0.1), 0, loader())
    return brain


@pytest.mark.parametrize("fbank", [KaldiFbank, Fbank])
def test_logits_are_those_of_the_tagger(fbank, tmp_path):
    """With SpeechBrain's own features too, which know no frame_lens."""
    brain = make_brain(tmp_path, fbank)
    brain.modules.eval()
    batch = collate_clips(clips(3))
    logits, targets = brain.compute_forward(batch, stage="valid")
    tagger = Tagger(**brain.plain_modules)
    assert torch.equal(logits, tagger(*batch.sig))
    assert torch.equal(targets, batch.targets.data)
    assert brain.mixup.calls == 0
    brain.fit(brain.epoch_counter, loader(), loader(4))
    assert brain.mixup.calls == brain.wav_augment.calls == 4
    assert brain.fea_augment.calls == 4


def test_without_a_teacher_labels_are_all(tmp_path):
    """And without strong labels, those of the clips."""
    brain = make_brain(tmp_path)
    brain.step = 2  # TensorBoard shows clips of the first one
    batch = collate_clips(clips(3))
    logits, targets = brain.compute_forward(batch, sb.Stage.TRAIN)
    assert torch.equal(targets, batch.targets.data)
    loss = brain.compute_objectives((logits, targets), batch, sb.Stage.TRAIN)
    assert loss.item() == bce_loss(logits, targets).item()


@pytest.mark.parametrize(
    "accumulated, interval, steps", [(1, 1, [1, 2, 3, 4]), (2, 1, [2, 4])]
)
def test_checkpoints_are_saved_at_whole_steps_only(
    accumulated, interval, steps, tmp_path
):
    options = {"ckpt_interval_steps": interval, "ckpt_interval_minutes": 0}
    brain = make_brain(
        tmp_path, grad_accumulation_factor=accumulated, **options
    )
    brain.fit(brain.epoch_counter, loader(), loader(4))
    assert brain.checkpointer.steps == steps


def test_no_checkpoint_is_saved_after_a_loss_that_is_not_finite(tmp_path):
    def cost(logits, targets):
        losses.append(bce_loss(logits, targets))
        return losses[-1] * (float("nan") if len(losses) == 2 else 1.0)

    losses = []
    options = {"ckpt_interval_steps": 1, "ckpt_interval_minutes": 0}
    brain = make_brain(
        tmp_path,
        cost=cost,
        nonfinite_patience=3,
        **options,
    )
    brain.on_stage_end = lambda *args: None
    brain.fit(brain.epoch_counter, loader(), None)
    # Its gradients turn the weights, and so all later losses, into NaN.
    assert len(losses) == 4 and brain.checkpointer.steps == [1]


def test_an_unreadable_clip_alone_in_its_batch_is_skipped(tmp_path):
    brain = make_brain(tmp_path)
    some = clips(3)
    some[2]["sig"] = None
    batches = [collate_clips(some[:2]), collate_clips(some[2:])]
    brain.step, brain.epoch_counter.current = 2, 1
    losses = []
    for batch in batches:
        predictions = brain.compute_forward(batch, sb.Stage.TRAIN)
        about = predictions, batch, sb.Stage.TRAIN
        losses.append(brain.compute_objectives(*about))
    losses[1].backward()  # as the other processes of a training do
    assert losses[0] > 0 and losses[1] == 0
    for module in ("embedding_model", "classifier"):
        for parameter in brain.plain_modules[module].parameters():
            assert not parameter.grad.any()
    targets, _ = brain.predict(batches)
    assert torch.equal(targets, torch.eye(2))
    assert brain.kept.unreadable == ["clip 2"]


def test_checkpoints_have_the_mean_loss_of_all_processes(tmp_path, monkeypatch):
    def mean(loss):  # as if the other process had three times this one's loss
        losses.append(2 * loss.item())
        return losses[-1]

    losses = []
    monkeypatch.setattr("speechbrain_fftp.training.ddp.mean_over_ranks", mean)
    options = {"ckpt_interval_steps": 3, "ckpt_interval_minutes": 0}
    brain = make_brain(tmp_path, **options)
    brain.on_stage_end = lambda *args: None
    brain.fit(brain.epoch_counter, loader(), None)
    (saved,) = tmp_path.glob("CKPT*/brain.ckpt")
    expected = pytest.approx(sum(losses[:3]) / 3)
    assert yaml.safe_load(saved.read_text())["avg_train_loss"] == expected


def test_accumulating_more_batches_than_there_are_is_an_error(tmp_path):
    make_brain(tmp_path, grad_accumulation_factor=4)
    message = "grad_accumulation_factor must be .* batches of an epoch, 4"
    with pytest.raises(ValueError, match=message):
        make_brain(tmp_path, grad_accumulation_factor=5)


def test_limit_of_steps_from_the_command_line(tmp_path):
    """Which SpeechBrain leaves as text."""
    brain = make_brain(tmp_path, optimizer_step_limit="3")
    brain.fit(brain.epoch_counter, loader(), loader(4))
    assert brain.optimizer_step == 3


def test_augmentations_may_be_null(tmp_path):
    brain = make_brain(tmp_path)
    brain.wav_augment = brain.fea_augment = None
    brain.fit(brain.epoch_counter, loader(), loader(4))
    assert brain.optimizer_step == brain.mixup.calls == 4


def test_a_frozen_encoder_keeps_its_weights(tmp_path):
    brain = make_brain(tmp_path, frozen_epochs=1)
    before = {
        name: [p.clone() for p in module.parameters()]
        for name, module in brain.plain_modules.items()
    }
    brain.fit(brain.epoch_counter, loader(), loader(4))
    changed = {
        name
        for name, module in brain.plain_modules.items()
        for old, new in zip(before[name], module.parameters())
        if not torch.equal(old, new)
    }
    assert changed == {"classifier"}
