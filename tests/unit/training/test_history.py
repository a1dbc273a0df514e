"""Tests of the logs of a training.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
from types import SimpleNamespace

import pytest
import torch

from speechbrain.utils.train_logger import FileTrainLogger, TensorboardLogger
from speechbrain_fftp.training.history import TrainingHistory

CLIPS = ["a"], torch.tensor([[0.1, 0.9]]), torch.tensor([[0.0, 1.0]])


def train(folder, epochs, resumed=None):
    """Logs epochs of two steps; resumes after an epoch and a step."""
    loggers = (
        FileTrainLogger(str(folder / "log.txt")),
        TensorboardLogger(str(folder / "tensorboard")),
    )
    history = TrainingHistory(folder, *loggers, ["x", "y"], "mAP")
    history.resume(*(resumed or (0, 0)))
    for epoch in epochs:
        history.start_epoch(resumed=False)
        for step in (2 * epoch - 1, 2 * epoch):
            if resumed is None or step > resumed[1]:
                history.add_step(step, 1 / step, lr=1e-5, grad_norm=1.0)
        loss = 1 / (3 * epoch)
        valid = {"loss": 2.0, "mAP": epoch / 7, "AUC": 0.5}
        history.add_epoch(epoch, 1e-5 / 3, loss, valid, *CLIPS)
    history.writer.flush()
    return history


def test_resumed_training_repeats_no_line(tmp_path):
    event_accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    table = {1: {"AP": 0.25, "AUC": 0.5, "positives": 3}}
    history = train(tmp_path, [1, 2, 3])
    history.add_test(3, {"loss": 1.0, "mAP": 0.3}, table)
    # Killed in epoch 3: its lines are there, its checkpoint is not
    history = train(tmp_path, [3], resumed=(2, 5))
    history.add_test(3, {"loss": 1.0, "mAP": 0.4}, table)
    history.add_test(3, {"loss": 1.0, "mAP": 0.5}, table)
    history.writer.flush()
    with open(tmp_path / "history.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    for epoch, row in enumerate(rows, start=1):
        assert float(row["train_loss"]) == 1 / (3 * epoch)
        assert float(row["valid_mAP"]) == epoch / 7
        assert float(row["lr"]) == 1e-5 / 3
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert [line[:9] for line in lines[:3]] == [
        f"epoch: {e} " for e in (1, 2, 3)
    ]
    assert lines[3:] == ["epoch: 3 - test loss: 1.00e+00, test mAP: 5.00e-01"]
    folder = str(tmp_path / "tensorboard")
    events = event_accumulator.EventAccumulator(folder).Reload()
    steps = [event.step for event in events.Scalars("loss/step")]
    assert steps == [1, 2, 3, 4, 5, 6]
    shown = events.Tensors("classes/text_summary")[-1].tensor_proto
    assert b"0.2500 | 0.5000 | 3 | y" in shown.string_val[0]


def test_lines_of_another_logger_are_left_to_it(tmp_path):
    writer = SimpleNamespace(add_scalar=print, add_text=print)
    tensorboard = SimpleNamespace(writer=writer)
    logger = SimpleNamespace(log_stats=lambda *args, **kwargs: None)
    history = TrainingHistory(tmp_path, logger, tensorboard, ["x"], "mAP")
    history.resume(0, 0)
    history.add_test(1, {"loss": 1.0, "mAP": 0.3}, {})
    assert not list(tmp_path.iterdir())


def test_sums_of_an_epoch_go_on_after_a_resume(tmp_path, monkeypatch):
    clock = iter([10.0, 11.0, 14.0, 100.0, 102.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    writer = SimpleNamespace(add_scalar=print, add_text=print)
    logger = SimpleNamespace(log_stats=lambda *args, **kwargs: None)
    about = logger, SimpleNamespace(writer=writer), ["x", "y"], "mAP"
    history = TrainingHistory(tmp_path, *about)
    history.start_epoch(resumed=False)
    history.add_batch(4)
    history.add_step(1, 0.5, 1e-5, grad_norm=1.0)
    history.add_batch(4)
    history.save(tmp_path / "history.ckpt")
    history = TrainingHistory(tmp_path, *about)
    history.load(tmp_path / "history.ckpt", end_of_epoch=False)
    history.start_epoch(resumed=True)
    history.add_batch(4)
    history.add_step(2, 0.5, 1e-5, grad_norm=2.0)
    valid = {"loss": 2.0, "mAP": 0.5}
    history.add_epoch(1, 1e-5, 0.25, valid, *CLIPS)
    with open(tmp_path / "history.csv", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert float(row["seconds"]) == 6.0
    assert float(row["train_clips_per_second"]) == 2.0
    assert float(row["train_grad_norm"]) == 1.5
