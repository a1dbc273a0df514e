"""Tests of the clock of a training.

Authors
 * The speechbrain_fftp authors 2026
"""

import time

import pytest

from speechbrain_fftp.training.throughput import Throughput


def test_a_resumed_training_counts_on(tmp_path, monkeypatch):
    """Evaluation loads a checkpoint, too, and keeps the figures."""
    now = 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    throughput = Throughput()
    throughput.start()
    now = 1800
    throughput.save(tmp_path / "within")
    now = 3600
    throughput.steps = 3000
    found = throughput.stop(12)
    assert found["clips_per_second"] == pytest.approx(10)
    assert found["hours"] == pytest.approx(1)

    resumed = Throughput()
    resumed.load(tmp_path / "within")
    resumed.start()  # the other half of the epoch
    now += 1800
    resumed.steps = 1500
    assert resumed.stop(12)["hours"] == pytest.approx(1)
    resumed.load(tmp_path / "within")
    assert resumed.latest["clips_per_second"] == pytest.approx(10)
    assert resumed.latest["hours"] == pytest.approx(1)


def test_waiting_is_the_time_between_steps(monkeypatch):
    now = 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    throughput = Throughput()
    for seconds_per_step in (3.0, 1.0):
        throughput.start()
        for _ in range(10):
            now += 1.0
            throughput.start_step()
            now += seconds_per_step
            throughput.end_step()
        found = throughput.stop(12)
        assert found["waiting"] == pytest.approx(1 / (1 + seconds_per_step))
        assert found["clips_per_second"] == pytest.approx(12 * 10 / now)
        now = 0.0
