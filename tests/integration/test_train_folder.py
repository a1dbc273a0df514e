"""Tests of the AudioSet recipe: a folder holds one run, errors are one line.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest
import torch
from recipe_runs import command, fail, run, torchrun, train

TRAINED = ("hyperparams.yaml", "metrics.json", "run.json", "history.csv")


@pytest.fixture(scope="module")
def finished(data_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    options = {"data_folder": data_folder, "num_workers": 0}
    return folder, options, train(folder, number_of_epochs=1, **options)[1]


def state(folder):
    """Contents and times of what a run leaves, but for the prepared data."""
    paths = [folder / name for name in TRAINED]
    for name in ("inference", "save"):
        paths.extend(p for p in (folder / name).rglob("*") if p.is_file())
    return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in paths}


def test_another_experiment_leaves_a_finished_run_alone(finished, tmp_path):
    folder, options, metrics = finished
    before = state(folder)
    message = fail(folder, number_of_epochs=1, **{**options, "lr": 0.1})
    assert message.startswith(f"{folder} holds a run with other settings")
    assert "lr: 0.001 -> 0.1" in message
    assert f"--output_folder {folder}_2" in message
    output, debugged = train(folder, "--debug", number_of_epochs=5, **options)
    assert debugged["epochs"] == 2 and f"Model: {folder}/debug" in output
    assert state(folder) == before
    # The same command, and the same with another number of workers
    again = train(folder, number_of_epochs=1, **options)[1]
    assert again == metrics and state(folder).keys() == before.keys()
    assert metrics["options"]["lr"] == 0.001 and metrics["seed"] == 1234
    assert metrics["made_with"]["torch"] == torch.__version__


def test_processes_of_a_refused_run_all_stop(finished):
    folder, options, _ = finished
    before = state(folder)
    status, output = run(
        folder, command=torchrun, number_of_epochs=1, **options
    )
    assert status != 0 and state(folder) == before
    lines = [
        line for line in output.splitlines() if "processes: 1 -> 2" in line
    ]
    assert len(lines) == 2
    assert (
        'File "/'
        not in output.split("torch.distributed.elastic")[0].split("Traceback")[
            0
        ]
    )


def test_more_epochs_continue_a_run(data_folder, tmp_path):
    folder = tmp_path / "run"
    options = {"data_folder": data_folder, "num_workers": 0}
    train(folder, number_of_epochs=1, **options)
    output, metrics = train(folder, number_of_epochs=2, **options)
    assert "goes on to 2 epochs" in output
    assert "Going into epoch 1\n" not in output
    assert metrics["epochs"] == 2 and metrics["continued_from"] == [1]
    before = state(folder)
    message = fail(folder, number_of_epochs=1, **options)
    assert "number_of_epochs: 2 -> 1" in message
    assert state(folder) == before


def test_second_run_in_a_folder_and_an_interrupted_one(data_folder, tmp_path):
    folder, log = tmp_path / "run", tmp_path / "log"
    # Python drops an interrupt that comes while a loader ends its processes.
    options = {"data_folder": data_folder, "number_of_epochs": 100}
    options["num_workers"] = 0
    words = command(folder, "--noprogressbar", **options)
    with open(log, "w") as file:
        process = subprocess.Popen(
            words, cwd=tmp_path, stdout=file, stderr=file
        )
    try:
        deadline = time.time() + 120
        while not (folder / "run.json").is_file():  # it is training
            assert process.poll() is None and time.time() < deadline
            time.sleep(0.01)
        message = fail(folder, **options)
        who = f"process {process.pid} on {socket.gethostname()} since 20"
        assert f"{folder} is in use by {who}" in message
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        process.kill()
    text = log.read_text()
    assert text.endswith("train.py: interrupted. The same command resumes.\n")
    assert "Traceback" not in text
    assert not (folder / "running.lock").exists()


def test_expected_errors_are_one_line(data_folder, tmp_path):
    folder = tmp_path / "run"
    options = {"data_folder": data_folder, "n_classes": 527}
    assert "pass --n_classes 14" in fail(folder, **options)
    log = (folder / "log.txt").read_text()
    assert "Traceback" in log and "pass --n_classes 14" in log
    status, output = run(folder, "--verbose", **options)
    assert status == 1 and "Traceback" in output
    assert re.search(r"^train\.py: .*pass --n_classes 14", output, re.M)
    # A failed start is no run: other settings are free.
    assert not (folder / "run.json").exists()
    status, output = run(folder, **{**options, "number_of_epoch": 3})
    assert status == 2
    assert output == (
        "train.py: there is no option --number_of_epoch: did you mean "
        "--number_of_epochs?\n"
    )


def test_versions_are_those_of_the_running_python(finished):
    folder, _, metrics = finished
    text = (folder / "env.log").read_text()
    assert f"torch: {torch.__version__}\n" in text
    assert "HyperPyYAML==" in text
    record = json.loads((folder / "run.json").read_text())
    assert record["made_with"].items() >= metrics["made_with"].items()
    assert record["data"] == metrics["prepared_data"]
