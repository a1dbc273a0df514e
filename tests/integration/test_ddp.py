"""Tests of the AudioSet recipe in two processes, which share one training.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import re
import signal
import subprocess
import time

import pytest
from recipe_runs import torchrun, train, train_in_two_processes

# Nothing random but the order of the clips, which does not matter as a batch has
# them all: each epoch is the same step for any number of processes.
PLAIN = {"mixup_prob": 0.0, "mask_budget": 0.0}


def losses(folder):
    """The training loss of each epoch."""
    log = (folder / "train_log.txt").read_text("utf-8")
    return [float(loss) for loss in re.findall(r"train loss: ([^\s,]+)", log)]


def test_two_processes_train_as_one(data_folder, tmp_path):
    """Same metrics, from the same batches in two halves.

    Of 7 clips to evaluate one is given out twice, and scored once.
    """
    folder = tmp_path / "data"
    folder.mkdir()
    for path in data_folder.iterdir():
        (folder / path.name).symlink_to(path)
    segments = (data_folder / "eval_segments.csv").read_text().splitlines()
    (folder / "eval_segments.csv").unlink()
    (folder / "eval_segments.csv").write_text("\n".join(segments[:-1]) + "\n")
    options = {
        **PLAIN,
        "data_folder": folder,
        "prepared_folder": tmp_path / "prepared",
        "num_workers": 0,
        "number_of_epochs": 2,
    }
    _, one = train(tmp_path / "one", batch_size=24, **options)
    _, two = train_in_two_processes(tmp_path / "two", batch_size=12, **options)
    assert two["num_clips"] == one["num_clips"] == 7
    # Of its half of the clips, the main process logs the loss
    assert losses(tmp_path / "two") == pytest.approx(
        losses(tmp_path / "one"), abs=0.1
    )
    for key in ("mAP", "AUC"):
        assert two[key] == pytest.approx(one[key], abs=1e-3)
    for log in ("train_log.txt", "per_class.csv"):
        lines = [(tmp_path / n / log).read_text() for n in ("one", "two")]
        assert len(lines[0].splitlines()) == len(lines[1].splitlines())


def children(pid):
    """Processes started by a process."""
    listed = subprocess.run(
        ["pgrep", "-P", str(pid)], capture_output=True, text=True
    )
    return [int(line) for line in listed.stdout.split()]


@pytest.mark.slow
def test_kill_of_one_process_ends_the_job_and_it_resumes(data_folder, tmp_path):
    """With masks, mixtures and gains, which each process draws by itself."""
    options = {
        "data_folder": data_folder,
        "prepared_folder": tmp_path / "prepared",
        "num_workers": 0,
        "number_of_epochs": 3,
        "ckpt_interval_steps": 1,
    }
    _, unbroken = train_in_two_processes(tmp_path / "unbroken", **options)

    killed = tmp_path / "killed"
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen(
            torchrun(killed, **options), cwd=tmp_path, stdout=log, stderr=log
        )
        deadline = time.time() + 600
        while len(list(killed.glob("save/CKPT+*"))) < 2:
            assert process.poll() is None and time.time() < deadline
            time.sleep(0.01)
        ranks = children(process.pid)
        assert len(ranks) == 2
        os.kill(ranks[1], signal.SIGKILL)
        assert process.wait(timeout=60) != 0
    for pid in ranks:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert not (killed / "metrics.json").exists()

    output, resumed = train_in_two_processes(killed, **options)
    assert "Loading a checkpoint" in output
    for key in ("mAP", "AUC"):
        assert resumed[key] == pytest.approx(unbroken[key], abs=1e-3)
    assert losses(killed) == pytest.approx(losses(tmp_path / "unbroken"))
