"""Tests of learning from a teacher.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, Categorical, kl_divergence
from torch.nn.functional import (
    binary_cross_entropy_with_logits as bce,
    cross_entropy,
)

from speechbrain_fftp.augment.mixup import Mixup
from speechbrain_fftp.training.distillation import Distillation
from speechbrain_fftp.training.reports import write_predictions

LABELS = ["Dog", "Cat", "Owl"]
IDS = ["a", "b", "c", "d"]


def write(folder, labels=LABELS, ids=IDS, seed=0):
    """Writes stored probabilities of clips; returns them and their path."""
    generator = torch.Generator().manual_seed(seed)
    probs = torch.rand(len(ids), len(labels), generator=generator)
    write_predictions(folder, ids, torch.zeros_like(probs), probs, labels)
    return probs, str(folder / "probabilities.npz")


def make(folder, single_label=False, labels=LABELS, **options):
    """A teacher with stored probabilities, and these."""
    probs, path = write(folder)
    return Distillation(path, labels, single_label, 16000, **options), probs


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_divergence_of_independent_labels(tmp_path, temperature):
    teacher, _ = make(tmp_path, temperature=temperature)
    logits, theirs = torch.randn(2, 4, 3)
    expected = kl_divergence(
        Bernoulli(logits=theirs / temperature),
        Bernoulli(logits=logits / temperature),
    )
    found = teacher.divergence(logits, theirs.sigmoid())
    torch.testing.assert_close(found, temperature**2 * expected.mean())


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_divergence_of_one_label(tmp_path, temperature):
    teacher, _ = make(tmp_path, True, temperature=temperature)
    logits, theirs = torch.randn(2, 4, 3)
    expected = kl_divergence(
        Categorical(logits=theirs / temperature),
        Categorical(logits=logits / temperature),
    )
    found = teacher.divergence(logits, theirs.softmax(-1))
    torch.testing.assert_close(found, temperature**2 * expected.mean())


@pytest.mark.parametrize("single_label", [False, True])
def test_nothing_to_learn_from_equal_and_extreme_teachers(
    tmp_path, single_label
):
    teacher, _ = make(tmp_path, single_label)
    logits = torch.randn(4, 3, requires_grad=True)
    probs = logits.softmax(-1) if single_label else logits.sigmoid()
    loss = teacher.divergence(logits, probs.detach())
    loss.backward()
    torch.testing.assert_close(loss, torch.tensor(0.0), atol=1e-6, rtol=0)
    assert logits.grad.abs().max() < 1e-6
    certain = torch.eye(3)[[0, 1, 2, 0]]
    assert teacher.divergence(logits, certain).isfinite()


def test_classes_are_matched_by_name(tmp_path, caplog):
    own = ["Cat", "Hen", "Dog"]
    teacher, probs = make(tmp_path, labels=own, weight=1.0)
    assert "knows 2 of 3 classes" in caplog.text
    targets = teacher.look_up(["c", "a"], torch.zeros(2, 3))
    expected = probs[[2, 0]][:, [1, 0]]
    torch.testing.assert_close(targets[:, 3:], expected)
    logits = torch.randn(2, 3)
    divergence = teacher.divergence(logits[:, [0, 2]], expected)
    found = teacher.loss(logits, targets, bce)
    rest = bce(logits[:, 1], targets[:, 1])
    torch.testing.assert_close(found, (2 * divergence + rest) / 3)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_classes_without_a_teacher_learn_from_labels_alone(tmp_path, weight):
    teacher, _ = make(tmp_path, labels=["Cat", "Hen", "Dog"], weight=weight)
    labels = torch.tensor([[1.0, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 0]])
    targets = teacher.look_up(IDS, labels)
    logits, plain = torch.randn(4, 3).repeat(2, 1, 1).requires_grad_()
    grads = torch.autograd.grad(teacher.loss(logits, targets, bce), logits)
    expected = torch.autograd.grad(bce(plain, labels), plain)
    torch.testing.assert_close(grads[0][:, 1], expected[0][:, 1])
    same = torch.isclose(grads[0], expected[0]).all(0)
    assert same.tolist() == [not weight, True, not weight]


def test_one_label_without_a_teacher_is_learned(tmp_path):
    """The labels' share of the loss is at least that of unknown labels."""
    own = ["Cat", "Hen", "Dog"]
    teacher, _ = make(tmp_path, True, labels=own, weight=1.0)
    labels = torch.eye(3)[[0, 1, 2, 0]]
    targets, logits = teacher.look_up(IDS, labels), torch.randn(4, 3)
    divergence = teacher.divergence(logits[:, [0, 2]], targets[:, 3:])
    expected = 0.25 * cross_entropy(logits, labels) + 0.75 * divergence
    found = teacher.loss(logits, targets, cross_entropy)
    torch.testing.assert_close(found, expected)


def test_the_weight_is_the_share_of_the_teacher(tmp_path):
    teacher, _ = make(tmp_path, weight=0.25)
    targets = teacher.look_up(IDS, torch.ones(4, 3))
    logits, seen = torch.randn(4, 3), []

    def cost(*given):
        seen.append(given)
        return torch.tensor(8.0)

    divergence = teacher.divergence(logits, targets[:, 3:])
    found = teacher.loss(logits, targets, cost)
    torch.testing.assert_close(found, 6.0 + 0.25 * divergence)
    assert seen[0][0] is logits and torch.equal(seen[0][1], torch.ones(4, 3))


def test_stored_probabilities_are_mixed_as_the_clips_are(tmp_path):
    teacher, probs = make(tmp_path)
    torch.manual_seed(0)
    wavs = torch.eye(4)  # a mixed clip tells of which clips it is
    targets = teacher.look_up(IDS, torch.zeros(4, 3))
    wavs, _, targets = Mixup(prob=1.0)(wavs, torch.ones(4), targets)
    torch.testing.assert_close(targets[:, 3:], wavs @ probs)
    assert teacher.listen(wavs, torch.ones(4), targets) is targets


def test_a_model_hears_the_waveforms_of_the_batch(exported):
    """Its probabilities are those that it gives as a tagger."""
    hparams, folder = exported
    from speechbrain_fftp.inference import AudioTagger

    tagger = AudioTagger.from_pretrained(folder)
    labels = tagger.labels[::-1]
    teacher = Distillation(
        str(folder), labels, False, tagger.hparams.sample_rate
    )
    wavs, lens = torch.randn(2, 16000) / 10, torch.tensor([1.0, 0.5])
    targets = teacher.listen(wavs, lens, torch.zeros(2, len(labels)))
    expected = tagger.tag_batch(wavs, lens)
    found = targets[:, len(labels) :]
    torch.testing.assert_close(found, expected.flip(1))
    assert teacher.look_up(["x"], targets) is targets
    assert not found.requires_grad
    with pytest.raises(ValueError, match="needs 16000 Hz, but .* 8000 Hz"):
        Distillation(str(folder), labels, False, 8000)
    with pytest.raises(ValueError, match="any number of labels"):
        Distillation(str(folder), labels, True, 16000)


def test_what_cannot_teach_is_named(tmp_path):
    _, path = write(tmp_path)
    for options in ({"weight": 1.5}, {"temperature": 0}):
        with pytest.raises(ValueError, match="distill_weight=.* positive"):
            Distillation(path, LABELS, False, 16000, **options)
    with pytest.raises(ValueError, match="none of the classes, such as 'Hen'"):
        Distillation(path, ["Hen"], False, 16000)
    with pytest.raises(ValueError, match="lacks the clip e: .* all training"):
        make(tmp_path)[0].look_up(["a", "e"], torch.zeros(2, 3))
    with pytest.raises(FileNotFoundError, match="nothing.npz"):
        Distillation(str(tmp_path / "nothing.npz"), LABELS, False, 16000)
    np.savez(tmp_path / "other.npz", x=np.ones(2))
    (tmp_path / "text.npz").write_text("no npz")
    for name in ("other", "text"):
        with pytest.raises(ValueError, match=f"{name}.npz does not hold"):
            Distillation(str(tmp_path / f"{name}.npz"), LABELS, False, 16000)
