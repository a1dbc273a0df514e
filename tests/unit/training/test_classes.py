"""Tests of what follows from the frequency of classes.

Authors
 * The speechbrain_fftp authors 2026
"""

from types import SimpleNamespace

import torch

from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_fftp.training import classes

DATASET = DynamicItemDataset(
    {
        "a": {"labels": "Dog;Cat", "duration": 1.0},
        "b": {"labels": "Dog", "duration": 2.0},
        "c": {"labels": "Dog", "duration": 9.0},
        "d": {"labels": "", "duration": 9.0},
    }
)


def test_class_prior():
    """Before any training, each class has the probability of its labels."""
    encoder = CategoricalEncoder()
    encoder.update_from_iterable(["Cat", "Dog", "Owl"])
    classifier = torch.nn.Sequential(*(torch.nn.Linear(3, 3) for _ in range(3)))
    brain = SimpleNamespace(
        hparams=SimpleNamespace(label_encoder=encoder),
        checkpointer=SimpleNamespace(recoverables={"classifier": classifier}),
    )
    classes.start_from_class_prior(brain, {"train": DATASET})
    prior = classifier[2].bias.sigmoid()
    expected = torch.tensor([1.1, 3.1, 0.1]) / 4.2
    torch.testing.assert_close(prior, expected)


def test_clips_of_rare_classes_are_drawn_more_often():
    """In proportion to the sum of ``1 / count`` over their labels."""
    plain = classes.make_sampler(DATASET, seed=0)
    assert sorted(plain) == [0, 1, 2, 3]
    sampler = classes.make_sampler(DATASET, class_balanced=True, seed=0)
    drawn = []
    for epoch in range(3000):
        sampler.set_epoch(epoch)
        drawn += sampler
    frequency = torch.tensor(drawn).bincount() / len(drawn)
    expected = torch.tensor([4 / 3, 1 / 3, 1 / 3, 1]) / 3
    torch.testing.assert_close(frequency, expected, rtol=0, atol=0.02)
