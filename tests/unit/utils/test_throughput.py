"""Tests of the clock of a training.

Authors
 * The speechbrain_fftp authors 2026
"""

import time

import pytest

from speechbrain_fftp.utils.throughput import Throughput


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand, in seconds."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def test_a_resumed_training_counts_on(clock, tmp_path):
    throughput = Throughput(batch_size=12)
    throughput.limit = 48
    throughput.start(step=0)
    clock[0] = 1800
    throughput.save(tmp_path / "within")
    clock[0] = 3600
    found = throughput.stop(step=3000)
    assert found["clips_per_second"] == pytest.approx(10)
    assert found["hours"] == pytest.approx(1)
    assert found["matmul_share"] == pytest.approx(10 / 48)

    resumed = Throughput(batch_size=12)
    resumed.load(tmp_path / "within", end_of_epoch=False)
    resumed.start(step=1500)  # the other half of the epoch
    clock[0] += 1800
    assert resumed.stop(step=3000)["hours"] == pytest.approx(1)
    assert resumed.latest["clips_per_second"] == pytest.approx(10)


def test_evaluation_keeps_the_figures(clock, tmp_path):
    """It loads the best checkpoint, which may be of an earlier epoch."""
    throughput = Throughput(batch_size=1)
    for epoch in (1, 2):
        throughput.start(step=0)
        clock[0] += 3600
        throughput.stop(step=10)
        throughput.save(tmp_path / str(epoch))
    throughput.load(tmp_path / "1")
    assert throughput.latest["hours"] == pytest.approx(2)
