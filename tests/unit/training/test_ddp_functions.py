"""Tests of what the processes of one training share.

Authors
 * The speechbrain_fftp authors 2026
"""

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from speechbrain_fftp.training.ddp import (
    gather_clips,
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
    gathered = gather_clips(ids, rows, rows[:, 0])
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
    assert gather_clips([]) == ([],)


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
