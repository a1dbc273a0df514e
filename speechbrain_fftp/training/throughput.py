"""Clips per second of a training, its hours, and how long it waits for clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import time

import torch
import yaml

from speechbrain.utils.checkpoints import (
    mark_as_loader,
    mark_as_saver,
    register_checkpoint_hooks,
)


@register_checkpoint_hooks
class Throughput:
    """Measures the training part of each epoch.

    A checkpoint keeps the time, so that a resumed training counts on.

    Example
    -------
    >>> throughput = Throughput()
    >>> throughput.start()
    >>> throughput.start_step()
    >>> throughput.end_step()
    >>> sorted(throughput.stop(batch_size=12))
    ['clips_per_second', 'hours', 'waiting']
    """

    def __init__(self):
        self.processes = 1
        if torch.distributed.is_initialized():
            self.processes = torch.distributed.get_world_size()
        self.seconds = 0.0
        self.started = None
        self.steps = 0  # batches since the start
        self.waited = 0.0  # seconds between steps since the start
        self.step_ended = time.perf_counter()
        self.latest = {}

    def start(self):
        """Starts the clock."""
        self.steps = 0
        self.waited = 0.0
        self.started = self.step_ended = time.perf_counter()

    def start_step(self):
        """Notes that a batch has been received."""
        self.waited += time.perf_counter() - self.step_ended

    def end_step(self):
        """Notes that the next batch can be received."""
        self.steps += 1
        self.step_ended = time.perf_counter()

    def stop(self, batch_size):
        """Stops the clock at the end of an epoch's training.

        Arguments
        ---------
        batch_size : int
            Number of clips in a batch of one process.

        Returns
        -------
        dict
            ``clips_per_second`` of all processes in this epoch; ``waiting``,
            the fraction of its time between steps, in which this process waits
            for clips; and ``hours`` of all epochs, without validation.
        """
        seconds = time.perf_counter() - self.started
        self.started = None
        self.seconds += seconds
        clips = self.steps * batch_size * self.processes
        self.latest = {
            "clips_per_second": clips / seconds,
            "waiting": self.waited / seconds,
            "hours": self.seconds / 3600,
        }
        return self.latest

    @mark_as_saver
    def save(self, path):
        """Saves the time and the latest figures.

        Arguments
        ---------
        path : str
            File to write.
        """
        seconds = self.seconds
        if self.started is not None:  # within an epoch
            seconds += time.perf_counter() - self.started
        state = {"seconds": seconds, "latest": self.latest}
        with open(path, "w", encoding="utf-8") as file:
            yaml.safe_dump(state, file)

    @mark_as_loader
    def load(self, path, end_of_epoch=False):
        """Loads what ``save`` wrote, unless an epoch has been trained since.

        Evaluation loads the best checkpoint, which may not be the last.

        Arguments
        ---------
        path : str
            File to read.
        end_of_epoch : bool
            Ignored.
        """
        del end_of_epoch
        if self.seconds > 0:
            return
        with open(path, encoding="utf-8") as file:
            state = yaml.safe_load(file)
        self.seconds = state["seconds"]
        self.latest = state["latest"]
