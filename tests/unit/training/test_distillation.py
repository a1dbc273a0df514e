"""Tests of learning from a teacher.

Authors
 * The speechbrain_fftp authors 2026
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, Categorical, kl_divergence
from torch.nn.functional import (
    binary_cross_entropy_with_logits as bce,
    cross_entropy,
)

from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_fftp.augment.mixup import Mixup
from speechbrain_fftp.training.distillation import (
    TeacherCost,
    WithTeacher,
    start_teacher,
)

LABELS = ["Dog", "Cat", "Owl"]
IDS = ["a", "b", "c", "d"]


def make_brain(labels):
    encoder = CategoricalEncoder()
    encoder.update_from_iterable(labels)
    hparams = SimpleNamespace(label_encoder=encoder)
    return SimpleNamespace(hparams=hparams, device="cpu")


def stacked(labels, probs, unknown=()):
    """Targets ``[B, 2, C]``; the teacher lacks some classes."""
    probs = probs.clone()
    probs[:, list(unknown)] = float("nan")
    return torch.stack([labels, probs], 1)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("single_label", [False, True])
def test_divergence(single_label, temperature):
    """That of torch's distributions."""
    cost = TeacherCost(bce, 1.0, temperature, single_label)
    logits, teacher = torch.randn(2, 4, 3)
    kind = Categorical if single_label else Bernoulli
    expected = kl_divergence(
        kind(logits=teacher / temperature), kind(logits=logits / temperature)
    )
    probs = teacher.softmax(-1) if single_label else teacher.sigmoid()
    found = cost.divergence(logits, probs)
    torch.testing.assert_close(found, temperature**2 * expected.mean())


@pytest.mark.parametrize("single_label", [False, True])
def test_equal_and_extreme_teachers(single_label):
    cost = TeacherCost(bce, 1.0, 1.0, single_label)
    logits = torch.randn(4, 3, requires_grad=True)
    probs = logits.softmax(-1) if single_label else logits.sigmoid()
    loss = cost.divergence(logits, probs.detach())
    loss.backward()
    torch.testing.assert_close(loss, torch.tensor(0.0), atol=1e-6, rtol=0)
    assert logits.grad.abs().max() < 1e-6
    certain = torch.eye(3)[[0, 1, 2, 0]]
    assert cost.divergence(logits, certain).isfinite()


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_classes_without_a_teacher_learn_from_labels_alone(weight):
    cost = TeacherCost(bce, weight)
    labels = torch.tensor([[1.0, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 0]])
    targets = stacked(labels, torch.rand(4, 3), unknown=[1])
    logits, plain = torch.randn(4, 3).repeat(2, 1, 1).requires_grad_()
    (grads,) = torch.autograd.grad(cost(logits, targets), logits)
    (expected,) = torch.autograd.grad(bce(plain, labels), plain)
    torch.testing.assert_close(grads[:, 1], expected[:, 1])
    same = torch.isclose(grads, expected).all(0)
    assert same.tolist() == [not weight, True, not weight]


def test_one_label_that_the_teacher_lacks_is_learned():
    cost = TeacherCost(cross_entropy, 1.0, single_label=True)
    labels = torch.eye(3)[[0, 1, 2, 0]]
    logits, probs = torch.randn(4, 3), torch.rand(4, 3)
    found = cost(logits, stacked(labels, probs, unknown=[1]))
    known = [0, 2]
    divergence = cost.divergence(logits[:, known], probs[:, known])
    expected = 0.25 * cross_entropy(logits, labels) + 0.75 * divergence
    torch.testing.assert_close(found, expected)


def test_stored_probabilities_become_targets_and_are_mixed(tmp_path):
    probs = torch.rand(4, 3)
    path = tmp_path / "stored.npz"
    np.savez(path, ids=IDS, labels=LABELS, probs=probs.numpy())
    own = ["Cat", "Hen", "Dog"]
    dataset = DynamicItemDataset(
        {
            clip: {"sig": n, "targets": torch.eye(3)[0]}
            for n, clip in enumerate(IDS)
        },
        output_keys=["id", "sig", "targets"],
    )
    mixup = WithTeacher(Mixup(prob=1.0), str(path), 16000)
    start_teacher(make_brain(own), {"train": dataset}, mixup)
    targets = torch.stack([dataset[n]["targets"] for n in range(4)])
    torch.testing.assert_close(targets[:, 1, [0, 2]], probs[:, [1, 0]])
    assert targets[:, 1, 1].isnan().all()
    wavs = torch.eye(4)  # a mixed clip tells of which clips it is
    wavs, _, mixed = mixup(wavs, torch.ones(4), targets)
    torch.testing.assert_close(mixed[:, 1, 0], wavs @ probs[:, 1])
    assert TeacherCost(bce)(torch.randn(4, 3), mixed).isfinite()


def test_a_model_tags_the_mixed_waveforms(exported):
    from speechbrain_fftp.inference import AudioTagger

    _, folder = exported
    tagger = AudioTagger.from_pretrained(folder)
    labels = tagger.labels[::-1]
    mixup = WithTeacher(Mixup(prob=1.0), str(folder), 16000)
    start_teacher(make_brain(labels), {}, mixup)
    wavs, lens, targets = mixup(
        torch.randn(2, 16000) / 10,
        torch.tensor([1.0, 0.5]),
        torch.zeros(2, len(labels)),
    )
    expected = torch.as_tensor(tagger.tag_batch(wavs, lens))
    torch.testing.assert_close(targets[:, 1], expected.flip(1))
    assert not targets.requires_grad
    assert not list(mixup.parameters())  # it is not trained
    for other in (
        WithTeacher(Mixup(), str(folder), 8000),
        WithTeacher(Mixup(), str(folder), 16000, single_label=True),
    ):
        with pytest.raises(ValueError, match=str(folder)):
            start_teacher(make_brain(labels), {}, other)


def test_unsuitable_teachers_are_named(tmp_path):
    for options in ({"weight": 1.5}, {"temperature": 0}):
        with pytest.raises(ValueError, match="distill_weight"):
            TeacherCost(bce, **options)
    np.savez(tmp_path / "other.npz", x=np.ones(2))
    (tmp_path / "text.npz").write_text("no npz")
    np.savez(
        tmp_path / "few.npz", ids=["a"], labels=LABELS, probs=np.ones((1, 3))
    )
    dataset = DynamicItemDataset({clip: {} for clip in IDS})
    for name in ("nothing", "other", "text", "few"):
        mixup = WithTeacher(Mixup(), str(tmp_path / f"{name}.npz"), 16000)
        with pytest.raises((ValueError, OSError), match=f"{name}.npz"):
            start_teacher(make_brain(LABELS), {"train": dataset}, mixup)
    mixup = WithTeacher(Mixup(), str(tmp_path / "few.npz"), 16000)
    with pytest.raises(ValueError, match="Hen"):
        start_teacher(make_brain(["Hen"]), {"train": dataset}, mixup)
