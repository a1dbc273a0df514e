"""Tests of what the processes of one training share.

Authors
 * The speechbrain_fftp authors 2026
"""

import random
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from speechbrain_fftp.training.ddp import (
    Predictions,
    gather_predictions,
    leave_group,
    mean_over_ranks,
    seed_step,
)


def draws(*place):
    """Numbers from all generators that training code may draw from."""
    seed_step(*place)
    return [
        torch.rand(3).tolist(),
        torch.randn(3).tolist(),
        np.random.randn(3).tolist(),
        random.random(),
    ]


def test_draws_depend_on_seed_epoch_step_and_rank_alone(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.delenv("SLURM_PROCID", raising=False)
    places = [(1, 2, 3), (2, 1, 3), (1, 3, 2), (1, 2, 4)]
    first = [draws(*place) for place in places]
    assert first == [draws(*place) for place in places]
    monkeypatch.setenv("RANK", "0")
    assert draws(1, 2, 3) == first[0]
    monkeypatch.setenv("RANK", "1")
    first.append(draws(1, 2, 3))
    for numbers in zip(*first):  # of one generator, at all places
        assert len({str(number) for number in numbers}) == len(first)


def gather(rank, folder):
    torch.distributed.init_process_group(
        "gloo", f"file://{folder}/store", rank=rank, world_size=2
    )
    ids = [["c", "a"], ["b", "c", "d"]][rank]
    rows = torch.tensor([[ord(name), 0.5] for name in ids])
    gathered = gather_predictions(ids, rows, rows[:, 0])
    mean = mean_over_ranks(torch.tensor([1.0, 4.0][rank]))
    torch.save((gathered, mean), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_gathers_clips_over_processes_and_takes_each_once(tmp_path):
    torch.multiprocessing.spawn(gather, (str(tmp_path),), nprocs=2)
    for rank in (0, 1):
        (ids, rows, column), mean = torch.load(tmp_path / f"{rank}.pt")
        assert ids == ["a", "b", "c", "d"]
        assert rows.tolist() == [[ord(name), 0.5] for name in ids]
        assert column.tolist() == [ord(name) for name in ids]
        assert mean == pytest.approx(2.5)


def test_nothing_to_gather():
    assert gather_predictions([]) == ([],)


def test_predictions_of_batches_are_put_together():
    predictions = Predictions()
    parts = (["b", "c"], []), (["a"], ["x"]), (["y"], ["y"])
    for ids, unreadable in parts:  # y is alone in its batch
        batch = SimpleNamespace(id=ids, unreadable=unreadable)
        values = torch.tensor([[float(ord(name)), 0.0] for name in ids])
        predictions.add(batch, values, values + 1)
    ids, logits, targets, unreadable = predictions.gather()
    assert ids == ["a", "b", "c"] and unreadable == ["x", "y"]
    assert logits[:, 0].tolist() == [97.0, 98.0, 99.0]
    assert torch.equal(targets, logits + 1)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_an_error(bad):
    predictions = Predictions()
    batch = SimpleNamespace(id=["a", "b"], unreadable=[])
    logits = torch.tensor([[1.0, 2.0], [bad, bad]])
    predictions.add(batch, logits, torch.zeros(2, 2))
    with pytest.raises(ValueError, match="1 of 2 clips.*not finite"):
        predictions.gather()


def group_threads():
    """How many threads of the process group there are."""
    threads = Path("/proc/self/task").glob("*/comm")
    return sum("gloo" in thread.read_text() for thread in threads)


def leave(rank, folder):
    torch.distributed.init_process_group(
        "gloo", f"file://{folder}/store", rank=rank, world_size=2
    )
    model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 2))
    model(torch.ones(1, 2)).sum().backward()
    before = group_threads()
    del model
    leave_group()
    torch.save((before, group_threads()), f"{folder}/{rank}.pt")


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc")
def test_no_thread_outlives_the_group(tmp_path):
    """One that did could abort a process that has finished."""
    torch.multiprocessing.spawn(leave, (str(tmp_path),), nprocs=2)
    for rank in (0, 1):
        before, after = torch.load(tmp_path / f"{rank}.pt")
        assert before > 0
        assert after == 0
