"""Tests of the logs of a training.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import subprocess
import sys

import pytest

from speechbrain_fftp.training.loggers import TrainingLogger


def log(folder, epochs, test=False):
    """Logs some epochs in a process of its own."""
    logger = TrainingLogger(
        folder / "train_log.txt", folder / "history.csv", folder / "events"
    )
    for epoch in epochs:
        logger.log_stats(
            {"epoch": epoch, "lr": 0.1}, {"loss": 1 / epoch}, {"mAP": 0.5}
        )
    if test:
        logger.log_stats({"Epoch loaded": 3}, test_stats={"mAP": 0.6})


def test_a_resumed_run_repeats_no_line(tmp_path):
    log(tmp_path, [1, 2, 3])  # killed before the checkpoint of epoch 3
    log(tmp_path, [3, 4], test=True)
    log(tmp_path, [], test=True)
    with open(tmp_path / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert float(rows[2]["train_loss"]) == 1 / 3
    assert float(rows[0]["valid_mAP"]) == 0.5
    lines = (tmp_path / "train_log.txt").read_text().splitlines()
    starts = [line.partition(",")[0] for line in lines[:4]]
    assert starts == ["epoch: 1", "epoch: 2", "epoch: 3", "epoch: 4"]
    assert len(lines) == 5 and "test mAP" in lines[4]


def test_tensorboard(tmp_path):
    events = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    log(tmp_path, [1, 2])
    log(tmp_path, [2, 3])
    found = events.EventAccumulator(str(tmp_path / "events")).Reload()
    scalars = found.Scalars("mAP/valid")
    assert [scalar.step for scalar in scalars] == [1, 2, 3]


def test_no_warning_about_figures(tmp_path):
    code = f"""
import sys
sys.modules["torchvision"] = None  # importing it raises ImportError
from speechbrain_fftp.training.loggers import TrainingLogger
logger = TrainingLogger({str(tmp_path / "log.txt")!r}, "h.csv", "events")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "torchvision" not in done.stderr
