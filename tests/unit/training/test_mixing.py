"""Tests of mixing with any clip of the training set.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
import torch
from scipy import stats

from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.dataio.sampler import (
    DistributedSamplerWrapper,
    ReproducibleRandomSampler,
)
from speechbrain_fftp.augment.mixup import Mix
from speechbrain_fftp.training.classes import make_sampler
from speechbrain_fftp.training.mixing import MixedClips, MixupSampler, Pair

LENGTHS = (9, 5, 7)


@pytest.fixture
def clips():
    """Three clips of different lengths and classes."""
    rng = np.random.default_rng(0)
    sigs = [rng.integers(-9000, 9000, size, "int16") for size in LENGTHS]
    return DynamicItemDataset(
        {f"{n}": {"number": n, "labels": "Dog"} for n in range(3)},
        [
            {
                "func": lambda n: torch.from_numpy(sigs[n]),
                "takes": ["number"],
                "provides": "sig",
            },
            {
                "func": lambda n: torch.eye(3)[n],
                "takes": ["number"],
                "provides": "targets",
            },
        ],
        ["id", "sig", "targets"],
    )


@pytest.mark.parametrize("pair", [Pair(0, 1, 0.75), Pair(1, 2, 0.3)])
def test_mixes_as_mixup_of_a_batch_does(pair, clips):
    """In 16 bits: off by half a step at most."""
    found = MixedClips(clips)[pair]
    wavs = torch.zeros(3, max(LENGTHS))
    for n, size in enumerate(LENGTHS):
        wavs[n, :size] = clips[n]["sig"].float()
    mix = Mix(torch.tensor([pair.weight]), torch.tensor([pair.other]))
    expected = torch.lerp(wavs[mix.other], wavs[[pair.clip]], pair.weight)[0]
    size = max(LENGTHS[pair.clip], LENGTHS[pair.other])
    assert found["sig"].dtype == torch.int16 and len(found["sig"]) == size
    torch.testing.assert_close(
        found["sig"].float(), expected[:size], rtol=0, atol=0.501
    )
    targets = torch.zeros(3)
    targets[pair.clip], targets[pair.other] = pair.weight, 1 - pair.weight
    torch.testing.assert_close(found["targets"], targets)
    assert found["id"] == f"{pair.clip}"


def test_an_unmixed_clip_is_as_it_was(clips):
    found = MixedClips(clips)[Pair(1, 0, 1.0)]
    assert torch.equal(found["sig"], clips[1]["sig"])
    assert found["targets"].tolist() == [0, 1, 0]


def test_partners_are_any_clips_and_weights_are_those_of_ast():
    sampler = ReproducibleRandomSampler(range(20000), seed=1)
    pairs = list(MixupSampler(sampler, 50, prob=0.4, seed=1))
    assert [pair.clip for pair in pairs] == list(sampler)
    mixed = [pair for pair in pairs if pair.weight != 1.0]
    assert len(mixed) / len(pairs) == pytest.approx(0.4, abs=0.02)
    counts = np.bincount([pair.other for pair in mixed], minlength=50)
    assert stats.chisquare(counts).pvalue > 0.001
    weights = [pair.weight for pair in mixed]
    assert stats.kstest(weights, stats.beta(10, 10).cdf).pvalue > 0.001


class SameOrder(list):
    """A sampler whose order is that of no epoch."""

    def set_epoch(self, epoch):
        """Does nothing."""


def test_pairs_are_those_of_the_seed_and_the_epoch():
    def pairs(seed, epoch):
        sampler = MixupSampler(SameOrder(range(50)), 99, prob=1.0, seed=seed)
        sampler.set_epoch(epoch)
        return zip(*sampler)

    clips, others, weights = pairs(3, 1)
    assert (clips, others, weights) == tuple(pairs(3, 1))
    for seed, epoch in ((3, 2), (4, 1)):
        found = list(pairs(seed, epoch))
        assert found[0] == clips
        assert found[1] != others and not set(found[2]) & set(weights)


def test_processes_share_the_pairs_of_an_epoch(clips):
    def pairs(rank, processes):
        sampler = make_sampler(clips, set_mixup_prob=0.5, seed=3)
        wrapped = DistributedSamplerWrapper(
            sampler, num_replicas=processes, rank=rank, shuffle=False
        )
        wrapped.set_epoch(1)
        return list(wrapped)

    first, second = pairs(0, 2), pairs(1, 2)
    assert [first[0], second[0], first[1]] == pairs(0, 1)
