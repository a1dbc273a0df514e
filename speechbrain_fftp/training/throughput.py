"""Clips per second of a training, and how long it waits for clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import time

from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)


class Throughput:
    """Measures each epoch's training, from its first batch on.

    Example
    -------
    >>> throughput = Throughput()
    >>> throughput.start_step()
    >>> throughput.end_step(clips=12)
    >>> throughput.end_epoch()
    >>> sorted(throughput.latest)
    ['clips_per_second', 'waiting']
    """

    def __init__(self):
        self.processes = int(os.environ.get("WORLD_SIZE", 1))
        self.latest = {}  # of the last epoch
        self.started = None  # the time of an epoch's first batch

    def start_step(self):
        """Notes that a batch has been received."""
        now = time.perf_counter()
        if self.started is None:
            self.started = self.ended = now
            self.clips, self.waited = 0, 0.0
        self.waited += now - self.ended

    def end_step(self, clips):
        """Notes that a batch of so many clips has been trained on."""
        self.clips += clips
        self.ended = time.perf_counter()

    def end_epoch(self):
        """Logs the clips per second of all processes, and the waiting.

        That is the fraction of the time between steps, in which this process
        waits for clips.
        """
        seconds = self.ended - self.started
        self.started = None
        self.latest = {
            "clips_per_second": self.clips * self.processes / seconds,
            "waiting": self.waited / seconds,
        }
        logger.info(
            "%.0f clips per second, %.0f %% of the time waiting for clips",
            self.latest["clips_per_second"],
            100 * self.latest["waiting"],
        )
