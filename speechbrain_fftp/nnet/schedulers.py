"""Learning rate schedules.

Authors
 * The speechbrain_fftp authors 2026
"""

import math

import torch

from speechbrain.utils import checkpoints


def count_steps(
    num_clips, batch_size, num_epochs=1, grad_accumulation_factor=1
):
    """Counts the optimiser steps of a training.

    Arguments
    ---------
    num_clips : int
        Number of training clips, which are distributed over all processes.
    batch_size : int
        Number of clips of a batch, in each process.
    num_epochs : int
        Number of epochs.
    grad_accumulation_factor : int
        Number of batches of a step.

    Returns
    -------
    int
        Number of steps.

    Example
    -------
    >>> count_steps(
    ...     101, batch_size=10, num_epochs=3, grad_accumulation_factor=2
    ... )
    15
    """
    num_processes = 1
    if torch.distributed.is_initialized():
        num_processes = torch.distributed.get_world_size()
    num_batches = math.ceil(math.ceil(num_clips / num_processes) / batch_size)
    return num_epochs * (num_batches // grad_accumulation_factor)


@checkpoints.register_checkpoint_hooks
class LinearWarmupCosine:
    """Linear warm-up to ``lr``, then cosine decay to ``final_lr``.

    Call it before each optimiser step. Checkpoints store the number of steps.

    Arguments
    ---------
    lr : float
        Peak learning rate, reached at step ``warmup_steps``.
    warmup_steps, total_steps : int
        Number of steps of the warm-up, and of the whole schedule.
    final_lr : float
        Final learning rate.

    Raises
    ------
    ValueError
        If ``total_steps`` is not greater than ``warmup_steps``.

    Example
    -------
    >>> import torch
    >>> optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    >>> schedule = LinearWarmupCosine(lr=0.1, warmup_steps=2, total_steps=6)
    >>> [round(schedule(optimizer), 4) for _ in range(6)]
    [0.05, 0.1, 0.0854, 0.05, 0.0146, 0.0]
    """

    def __init__(self, lr, warmup_steps, total_steps, final_lr=0.0):
        if not 0 <= warmup_steps < total_steps:
            raise ValueError(
                f"total_steps={total_steps} must be greater than "
                f"warmup_steps={warmup_steps}, which must not be negative. "
                "Without steps, an epoch has fewer batches than are accumulated."
            )
        self.lr = lr
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps
        self.final_lr = final_lr
        self.n_steps = 0

    def _rate(self, step):
        """The learning rate of a step, counted from 1."""
        if step < self.warmup_steps:
            return self.lr * step / self.warmup_steps
        done = (step - self.warmup_steps) / (
            self.total_steps - self.warmup_steps
        )
        cosine = 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
        return self.final_lr + (self.lr - self.final_lr) * cosine

    def __call__(self, optimizer):
        """Counts a step and sets its learning rate.

        Arguments
        ---------
        optimizer : torch.optim.Optimizer
            The optimiser; the rate is set in all parameter groups.

        Returns
        -------
        float
            The learning rate.
        """
        self.n_steps += 1
        rate = self._rate(self.n_steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        return rate

    @checkpoints.mark_as_saver
    def save(self, path):
        """Saves the number of steps.

        Arguments
        ---------
        path : str
            File to write.
        """
        with open(path, "w", encoding="utf-8") as file:
            file.write(str(self.n_steps))

    @checkpoints.mark_as_loader
    def load(self, path, end_of_epoch=False):
        """Loads the number of steps.

        Arguments
        ---------
        path : str
            File to read.
        end_of_epoch : bool
            Ignored: steps are counted across epochs.
        """
        del end_of_epoch
        with open(path, encoding="utf-8") as fi:
            self.n_steps = int(fi.read())
