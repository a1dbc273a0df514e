"""What the processes of one training share: scores, losses, random draws.

Each function also works in a training of one process.

Authors
 * The speechbrain_fftp authors 2026
"""

import gc
import random

import numpy as np
import torch

# Before there is a group: default arguments in it would hold on to the group.
import torch.distributed.nn

from speechbrain.utils.distributed import get_rank, is_distributed_initialized


def gather_clips(ids, *tensors):
    """Brings together what all processes know about their clips.

    The processes may hold different numbers of clips. A clip that several of
    them hold, as ``DistributedSampler`` gives out some twice to give all
    processes the same number, is taken once.

    Arguments
    ---------
    ids : list of str
        Names of the clips of this process.
    *tensors : torch.Tensor
        One row for each clip ``[clips, ...]``, on a CPU.

    Returns
    -------
    ids : list of str
        Names of the clips of all processes, sorted.
    *tensors : torch.Tensor
        Their rows in the same order.

    Example
    -------
    >>> gather_clips(["b", "a", "b"], torch.tensor([2.0, 1.0, 2.0]))
    (['a', 'b'], tensor([1., 2.]))
    """
    parts = [(ids, tensors)]
    if is_distributed_initialized():
        parts = [None] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(parts, (ids, tensors))
    names = [name for part_ids, _ in parts for name in part_ids]
    rows = {name: row for row, name in enumerate(names)}
    order = torch.tensor([rows[name] for name in sorted(rows)])
    columns = zip(*(part_tensors for _, part_tensors in parts))
    return sorted(rows), *(torch.cat(column)[order] for column in columns)


def sampler_of_rank(dataset):
    """Gives each process its share of a split that is to be scored.

    All get the same number of clips, so that all have as many batches; some
    clips may be given out twice for that, see ``gather_clips``.

    Arguments
    ---------
    dataset : torch.utils.data.Dataset
        The split.

    Returns
    -------
    torch.utils.data.DistributedSampler or None
        Every n-th clip for each of n processes; None for a single process,
        which takes all.

    Example
    -------
    >>> sampler_of_rank([1.0, 2.0]) is None
    True
    """
    if not is_distributed_initialized():
        return None
    return torch.utils.data.DistributedSampler(dataset, shuffle=False)


def mean_over_ranks(value):
    """Mean of a number over all processes.

    Arguments
    ---------
    value : torch.Tensor
        A scalar, on the device of the process.

    Returns
    -------
    float
        The mean, the same for all processes.

    Example
    -------
    >>> mean_over_ranks(torch.tensor(0.5))
    0.5
    """
    value = value.detach().double()
    if is_distributed_initialized():
        torch.distributed.all_reduce(value)
        value /= torch.distributed.get_world_size()
    return value.item()


def seed_step(seed, epoch, step):
    """Seeds all random generators for one training step.

    What a step draws (masks, mixtures, dropout) then depends on nothing but
    the experiment's seed, the step and the process: a resumed training draws as
    an unbroken one does, and no two processes draw the same.

    Arguments
    ---------
    seed : int
        Seed of the experiment.
    epoch : int
        Number of the epoch.
    step : int
        Number of the step in the epoch.

    Example
    -------
    >>> seed_step(1234, epoch=3, step=17)
    >>> drawn = torch.rand(2)
    >>> seed_step(1234, epoch=3, step=17)
    >>> bool((drawn == torch.rand(2)).all())
    True
    """
    place = np.random.SeedSequence([seed, epoch, step, get_rank() or 0])
    state = int(place.generate_state(1)[0])
    random.seed(state)
    np.random.seed(state)
    torch.manual_seed(state)


def leave_group():
    """Ends the process group, and with it its threads.

    The group lives on as long as anything refers to it, as modules wrapped in
    DDP do: drop those before. Its threads may otherwise wake up while Python is
    being taken down, which aborts a process that has finished
    (https://github.com/pytorch/pytorch/pull/179291).

    Example
    -------
    >>> import tempfile
    >>> store = torch.distributed.FileStore(tempfile.mkdtemp() + "/store")
    >>> torch.distributed.init_process_group(
    ...     "gloo", store=store, rank=0, world_size=1
    ... )
    >>> leave_group()
    >>> is_distributed_initialized()
    False
    """
    gc.collect()  # DDP's references go round in circles
    torch.distributed.destroy_process_group()
