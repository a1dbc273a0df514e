"""What the processes of a training run share: predictions, losses, seeds.

Each function also works with a single process.

Authors
 * The speechbrain_fftp authors 2026
"""

import gc
import itertools
import random

import numpy as np
import torch

# Before there is a group: default arguments in it would hold on to the group.
import torch.distributed.nn

import speechbrain as sb
from speechbrain.utils.distributed import get_rank, is_distributed_initialized


class DistributedBrain(sb.Brain):
    """A Brain that also trains batch norms in several processes on a CPU.

    There is no ``SyncBatchNorm`` there: each process has its own statistics.
    """

    def _wrap_distributed(self):
        on_cpu = torch.device(self.device).type == "cpu"
        if not (self.distributed_launch and on_cpu):
            return super()._wrap_distributed()
        unused = {"find_unused_parameters": self.find_unused_parameters}
        for name, module in self.modules.items():
            if any(p.requires_grad for p in module.parameters()):
                wrapped = torch.nn.parallel.DistributedDataParallel
                self.modules[name] = wrapped(module, **unused)


class Predictions:
    """Collects logits and targets of a split, batch by batch."""

    def __init__(self):
        self.ids, self.unreadable = [], []
        self.logits, self.targets = [], []

    def add(self, batch, logits, targets):
        """Adds a batch; logits and targets are ``[B, C]``."""
        read = [clip not in batch.unreadable for clip in batch.id]
        self.ids.extend(itertools.compress(batch.id, read))
        self.unreadable.extend(batch.unreadable)
        self.logits.append(logits.cpu()[read])
        self.targets.append(targets.cpu()[read])

    def gather(self):
        """Ids, logits and targets of all processes' clips, sorted by id.

        Then come the ids of clips that are unreadable.
        """
        ids, logits, targets = gather_predictions(
            self.ids, torch.cat(self.logits), torch.cat(self.targets)
        )
        (unreadable,) = gather_predictions(self.unreadable)
        bad = int((~logits.isfinite()).any(1).sum())
        if bad:
            raise ValueError(
                f"{bad} of {len(ids)} clips have scores that are not finite: "
                "training has diverged. Start again with a lower lr and "
                "another --output_folder."
            )
        return ids, logits, targets, unreadable


def gather_predictions(ids, *tensors):
    """Gathers ids and tensors, one row per clip, of all processes, by id.

    Each clip once, though ``DistributedSampler`` gives some to two processes.
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


def mean_over_ranks(value):
    """Mean of a scalar tensor over all processes, as a float."""
    value = value.detach().double()
    if is_distributed_initialized():
        torch.distributed.all_reduce(value)
        value /= torch.distributed.get_world_size()
    return value.item()


def seed_step(seed, epoch, step):
    """Seeds all random generators; a resumed training draws the same."""
    place = np.random.SeedSequence([seed, epoch, step, get_rank() or 0])
    state = int(place.generate_state(1)[0])
    random.seed(state)
    np.random.seed(state)
    torch.manual_seed(state)


def leave_group():
    """Destroys the process group; delete modules wrapped in DDP before.

    They refer to it: its threads might wake up while Python shuts down, which
    aborts the process (https://github.com/pytorch/pytorch/pull/179291).
    """
    gc.collect()  # DDP has reference cycles
    torch.distributed.destroy_process_group()
