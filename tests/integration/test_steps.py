"""Trainings in all modes see the same clips and rates, and learn the same.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import re

import numpy as np
import pytest
import torch
from data_folders import write_class_folders, write_lists
from prepared_clips import read_rows
from recipe_runs import run, train
from step_record import RECORD, read_evaluated, read_steps
from taught_clips import TEACHER, write_answers

from speechbrain.dataio.sampler import ReproducibleRandomSampler
from speechbrain_fftp.nnet.schedulers import LinearWarmupCosine

EPOCHS = 2
LR = 0.001
slow = pytest.mark.slow


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Custom data, two classes; each clip is longer than the last."""
    folder = tmp_path_factory.mktemp("steps") / "clips"
    write_class_folders(folder, growth=0.02)
    return folder


def expected_order(ids, epoch, processes):
    """The clips of each process: those of a seeded permutation in turn."""
    sampler = ReproducibleRandomSampler(ids, seed=1234, epoch=epoch)
    order = [ids[n] for n in sampler]
    order += order[: -len(order) % processes]  # as many in each process
    return [order[rank::processes] for rank in range(processes)]


def read_losses(folder, stage):
    """The losses in the log of a training."""
    log = (folder / "train_log.txt").read_text()
    return list(map(float, re.findall(rf"{stage} loss: ([\d.e+-]+)", log)))


@pytest.mark.parametrize(
    "processes, precision, is_compiled, killed",
    [
        (1, "fp32", False, "within an epoch"),
        pytest.param(1, "bf16", False, "at its end", marks=slow),
        pytest.param(1, "bf16", True, "at its end", marks=slow),
        pytest.param(2, "fp32", True, "within an epoch", marks=slow),
        pytest.param(2, "bf16", False, "at its end", marks=slow),
    ],
)
def test_a_killed_training_goes_on_as_if_it_had_not_been(
    processes, precision, is_compiled, killed, clips, tmp_path
):
    ids = [f"{name}_{n}" for name in ("cat", "dog") for n in range(24)]
    options = {
        "teacher_answers": write_answers(
            clips.parent / "answers.npz", ids, ["cat", "dog"]
        ),
        "processes": processes,
        "batch_size": 4 // processes,
        "data_folder": clips,
        "prepared_folder": clips.parent / "prepared",
        "before": RECORD + TEACHER,
        "precision": precision,
        "number_of_epochs": EPOCHS,
        "lr": LR,
        "patch_frames": 5,
        "stride_frames": 5,
        "num_workers": 1,
        "mixup_prob": 0.25,
        "set_mixup_prob": 0.5,
    }
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    _, expected_metrics = train(whole, **options)

    step = 1  # the last checkpoint is that of the first epoch
    if killed == "within an epoch":
        options["ckpt_interval_steps"] = 2
        step = 4  # the last of an epoch
    flags = ["--compile"] if is_compiled else []
    folder.mkdir()
    (folder / "kill_at.json").write_text(json.dumps([EPOCHS, step]))
    status, _ = run(folder, *flags, **options)
    assert status != 0 and not (folder / "metrics.json").exists()
    (folder / "kill_at.json").unlink()
    _, metrics = train(folder, *flags, **options)

    steps, expected = read_steps(folder), read_steps(whole)
    assert set(steps) == set(expected)
    for place, row in steps.items():
        if is_compiled:
            limit = 1e-5 if precision == "fp32" else 2e-3
            loss = expected[place]["loss"]
            assert row["loss"] == pytest.approx(loss, abs=limit)
        else:  # bit by bit
            assert row == expected[place]
    for key in ("mAP", "AUC"):
        limit = 0.02 if is_compiled else 1e-6
        assert metrics[key] == pytest.approx(expected_metrics[key], abs=limit)
    # Also of steps before the kill, with the one whose loss was read last
    assert read_losses(folder, "train") == pytest.approx(
        read_losses(whole, "train"), abs=2e-3 if is_compiled else 0
    )
    rows = read_rows(options["prepared_folder"] / "train.csv")
    ids = [row["ID"] for row in rows]
    for epoch in range(1, EPOCHS + 1):
        order = expected_order(ids, epoch, processes)
        for rank in range(processes):
            rows = [steps[p] for p in sorted(steps) if p[::2] == (epoch, rank)]
            assert [x for row in rows for x in row["ids"]] == order[rank]
    rates = [steps[place]["lr"] for place in sorted(steps) if place[2] == 0]
    optimizer = torch.optim.SGD([torch.zeros(1)])
    schedule = LinearWarmupCosine(LR, len(rates) // 10, len(rates))
    assert rates == pytest.approx([schedule(optimizer) for _ in rates])
    # What is finished is not repeated, nor with another number of workers
    output, again = train(folder, *flags, **{**options, "num_workers": 0})
    assert again == metrics and "Going into epoch" not in output


@pytest.mark.parametrize(
    "hparams", ["ast_fftp.yaml", pytest.param("convnext_fftp.yaml", marks=slow)]
)
def test_two_processes_train_as_one(hparams, tmp_path):
    """Same losses and metrics, from the same batches in two halves.

    Nothing is random but the order of the clips, which does not matter as a
    batch has them all. Of 3 clips to evaluate one is given out twice, and
    scored once.
    """
    write_lists(tmp_path / "data")
    options = {
        "hparams": hparams,
        "mixup_prob": 0.0,
        "mask_budget": 0.0,
        "valid_fraction": 0,
        "average_by": "epoch",
        "data_folder": tmp_path / "data",
        "prepared_folder": tmp_path / "prepared",
        "before": RECORD,
        "patch_frames": 5,
        "stride_frames": 5,
    }
    _, one = train(tmp_path / "one", batch_size=8, **options)
    _, two = train(tmp_path / "two", batch_size=4, processes=2, **options)

    whole, halves = (read_steps(tmp_path / name) for name in ("one", "two"))
    assert len(whole) == EPOCHS
    for (epoch, step, _), row in whole.items():
        parts = [halves[epoch, step, rank] for rank in (0, 1)]
        assert sorted(parts[0]["ids"] + parts[1]["ids"]) == sorted(row["ids"])
        loss = np.mean([part["loss"] for part in parts])
        assert loss == pytest.approx(row["loss"], abs=1e-3)
        assert read_losses(tmp_path / "two", "train")[epoch - 1] == (
            pytest.approx(loss, rel=1e-3)
        )
    clips = read_evaluated(tmp_path / "two")
    assert len(clips) == 4 and len(set(clips)) == 3
    assert two["num_clips"] == one["num_clips"] == 3
    for key in ("mAP", "AUC"):
        assert two[key] == pytest.approx(one[key], abs=1e-3)
