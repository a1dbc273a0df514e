"""A calibration or training that is killed anywhere ends as if it was not.

Authors
 * The speechbrain_fftp authors 2026
"""

import random
import time

import pytest
import tiny_onnx
import torch
from data_folders import write_class_folders
from recipe_runs import run, train
from two_at_once import is_killed

from fftp_tag.cli.main import main

pytestmark = pytest.mark.slow


def test_kills_of_a_calibration(tmp_path):
    """What was there before stays; the next call writes all of it."""
    model = tiny_onnx.write_model(tmp_path / "model.onnx")
    data = tiny_onnx.write_clips(tmp_path / "data")
    options = ["calibrate", "--model", str(model), "--data-folder", str(data)]
    alone, output = tmp_path / "alone.onnx", tmp_path / "output.onnx"
    assert main([*options, "--output", str(alone)]) == 0
    whole = alone.read_bytes()
    draw = random.Random(0)
    for number in range(20):
        before = b"before" if number % 2 else None
        output.unlink(missing_ok=True)
        if before is not None:
            output.write_bytes(before)
        at = draw.randrange(1, len(whole))
        given = [*options, "--output", str(output)]
        assert is_killed(main, given, at=at)
        assert (output.read_bytes() if output.exists() else None) == before
        assert main(given) == 0
        assert output.read_bytes() == whole


def read_results(folder):
    """What a training writes: its log, in which lines may be repeated after a
    kill, predictions, model.onnx and weights.
    """
    log = (folder / "train_log.txt").read_text()
    weights = [
        torch.load(folder / "inference" / f"{module}.ckpt")
        for module in ("embedding_model", "classifier")
    ]
    return (
        list(dict.fromkeys(log.splitlines())),
        (folder / "predictions.csv").read_bytes(),
        (folder / "inference/model.onnx").read_bytes(),
        weights,
    )


def list_files(folder):
    """The files of a training; names of checkpoints have their time."""
    return {
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.is_file() and not {"save", "tensorboard"} & set(path.parts)
    }


def test_kills_of_a_training(tmp_path):
    """At ten random times: of the preparation, the epochs and the reports."""
    write_class_folders(tmp_path / "clips", growth=0.02)
    options = {
        "data_folder": tmp_path / "clips",
        "number_of_epochs": 3,
        "ckpt_interval_steps": 2,
        "export": True,
    }
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    started = time.monotonic()
    train(whole, **options)
    seconds = time.monotonic() - started
    draw = random.Random(0)
    statuses = [
        run(folder, limit=draw.uniform(0, seconds), **options)[0]
        for _ in range(10)
    ]
    assert sum(status != 0 for status in statuses) >= 5
    train(folder, **options)
    *expected, expected_weights = read_results(whole)
    *found, weights = read_results(folder)
    assert found == expected
    torch.testing.assert_close(weights, expected_weights, atol=0, rtol=0)
    assert list_files(folder) == list_files(whole)
