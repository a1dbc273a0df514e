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
from speechbrain_fftp.training.distillation import learn_from_teacher

IDS = ["a", "b", "c", "d"]
HARD = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]])


def soft_targets(path, own, known, probs, **options):
    """The targets of training clips after a lesson."""
    np.savez(path, ids=IDS[::-1], labels=known, probs=probs.flip(0).numpy())
    encoder = CategoricalEncoder()
    encoder.update_from_iterable(own)
    brain = SimpleNamespace(hparams=SimpleNamespace(label_encoder=encoder))
    rows = {i: {"sig": 0, "targets": x} for i, x in zip(IDS, HARD)}
    dataset = DynamicItemDataset(rows, output_keys=["id", "sig", "targets"])
    options = {"weight": 0.3, "temperature": 1.0, **options}
    learn_from_teacher(brain, {"train": dataset}, teacher=path, **options)
    return torch.stack([dataset[n]["targets"] for n in range(4)])


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("single_label", [False, True])
def test_gradients_are_those_of_labels_and_divergence(
    single_label, temperature, tmp_path
):
    """The divergence is that of torch's distributions."""
    torch.manual_seed(0)
    logits, teacher = torch.randn(2, 4, 3)
    logits.requires_grad_()
    probs = teacher.softmax(-1) if single_label else teacher.sigmoid()
    names = ["Dog", "Cat", "Owl"]
    found = soft_targets(
        tmp_path / "stored.npz",
        names,
        names,
        probs,
        temperature=temperature,
        single_label=single_label,
    )
    kind, cost = (
        (Categorical, cross_entropy) if single_label else (Bernoulli, bce)
    )
    divergence = kl_divergence(
        kind(logits=teacher / temperature), kind(logits=logits)
    )
    loss = 0.7 * cost(logits, HARD) + 0.3 * divergence.mean()
    (expected,) = torch.autograd.grad(loss, logits)
    (gradient,) = torch.autograd.grad(cost(logits, found), logits)
    torch.testing.assert_close(gradient, expected)


def test_classes_that_the_teacher_lacks_keep_their_labels(tmp_path):
    probs = torch.rand(4, 2)
    path = tmp_path / "stored.npz"
    found = soft_targets(path, ["Cat", "Hen", "Dog"], ["Dog", "Cat"], probs)
    assert torch.equal(found[:, 1], HARD[:, 1])
    expected = 0.7 * HARD[:, [0, 2]] + 0.3 * probs[:, [1, 0]]
    torch.testing.assert_close(found[:, [0, 2]], expected)


def test_one_label_that_the_teacher_lacks_is_learned(tmp_path):
    probs = torch.rand(4, 3).softmax(1)
    known = ["Dog", "Cat", "Owl"]
    found = soft_targets(
        tmp_path / "stored.npz",
        ["Cat", "Hen", "Dog"],
        known,
        probs,
        single_label=True,
    )
    torch.testing.assert_close(found.sum(1), torch.ones(4))
    assert torch.equal(found[1], HARD[1])
    share = probs[0, 1] / (probs[0, 0] + probs[0, 1])
    expected = torch.stack(
        [0.7 + 0.3 * share, torch.zeros(()), 0.3 - 0.3 * share]
    )
    torch.testing.assert_close(found[0], expected)


def test_unsuitable_teachers_are_named(tmp_path):
    path = tmp_path / "stored.npz"
    with pytest.raises(ValueError, match="stored.npz"):
        soft_targets(path, ["Hen"], ["Dog"], torch.rand(4, 1))
    rows = {i: {} for i in [*IDS, "e"]}
    with pytest.raises(ValueError, match="stored.npz"):
        learn_from_teacher(
            None,
            {"train": DynamicItemDataset(rows)},
            teacher=path,
            weight=0.5,
            temperature=1.0,
        )
