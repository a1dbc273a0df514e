"""Tests of the clock of a training.

Authors
 * The speechbrain_fftp authors 2026
"""

import time

import pytest

from speechbrain_fftp.training.throughput import Throughput


def test_waiting_is_the_time_between_steps(monkeypatch):
    """Of each epoch; the wait for its first batch is left out."""
    now = 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    monkeypatch.setenv("WORLD_SIZE", "2")
    throughput = Throughput()
    for seconds in (3.0, 1.0):  # of a step
        for _ in range(10):
            now += 1.0
            throughput.start_step()
            now += seconds
            throughput.end_step(12)
        throughput.end_epoch()
        total = 10 * seconds + 9
        found = throughput.latest
        assert found["waiting"] == pytest.approx(9 / total)
        assert found["clips_per_second"] == pytest.approx(2 * 120 / total)
