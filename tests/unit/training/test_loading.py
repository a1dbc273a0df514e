"""Tests of how training clips are drawn, and of the class prior.

Authors
 * The speechbrain_fftp authors 2026
"""

from types import SimpleNamespace

import pytest
import torch

from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_fftp.training import class_prior, loading

ROWS = {
    "a": {"labels": "Dog;Cat", "duration": 1.0},
    "b": {"labels": "Dog", "duration": 2.0},
    "c": {"labels": "Dog", "duration": 9.0},
}


@pytest.fixture
def dataset():
    return DynamicItemDataset(ROWS, output_keys=["id"])


def options(dataset, **more):
    return loading.loader_options(
        dataset, batch_size=2, num_workers=0, seed=0, **more
    )


def test_each_epoch_has_an_order_of_its_own(dataset):
    sampler = options(dataset)["sampler"]
    orders = []
    for epoch in range(1, 9):
        sampler.set_epoch(epoch)
        orders.append(tuple(sampler))
        assert sorted(orders[-1]) == [0, 1, 2]
    assert len(set(orders)) > 1


def test_class_balanced(dataset):
    weights = loading.class_balanced_weights(dataset)
    assert weights == pytest.approx([1 / 3 + 1, 1 / 3, 1 / 3])
    assert len(list(options(dataset, class_balanced=True)["sampler"])) == 3


def test_class_prior(dataset):
    """Before any training, each class has the probability of its labels."""
    encoder = CategoricalEncoder()
    encoder.update_from_iterable(["Cat", "Dog", "Owl"])
    classifier = torch.nn.Sequential(
        torch.nn.Linear(4, 4), torch.nn.Linear(4, 3)
    )
    hparams = SimpleNamespace(label_encoder=encoder, classifier=classifier)
    brain = SimpleNamespace(hparams=hparams)
    class_prior.start_from_class_prior(brain, {"train": dataset})
    prior = classifier[1].bias.sigmoid()
    expected = torch.tensor([1.1, 3.1, 0.1]) / 3.2
    torch.testing.assert_close(prior, expected)
