"""Tests of the AudioSet recipe in two processes, which share one training.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import math
import os
import re
import signal
import subprocess
import time

import pytest
from recipe_runs import save_encoder, torchrun, train
from tensorboard.backend.event_processing import event_accumulator

# Nothing random but the order of the clips, the same for any number of
# processes, so that the same batches give the same steps.
PLAIN = {"gain_decibels": 0.0, "mixup_prob": 0.0, "mask_budget": 0.0}


@pytest.fixture(scope="module")
def prepared(data_folder, tmp_path_factory):
    """Options of all runs."""
    folder = tmp_path_factory.mktemp("ddp") / "prepared"
    return {
        "data_folder": data_folder,
        "prepared_folder": folder,
        "num_workers": 0,
        "number_of_epochs": 3,
    }


def curve(folder):
    events = event_accumulator.EventAccumulator(str(folder / "tensorboard"))
    scalars = events.Reload().Scalars("loss/step")
    return [event.value for event in scalars]


@pytest.mark.parametrize(
    "more",
    [
        {},
        pytest.param({"class_balanced": True}, marks=pytest.mark.slow),
        pytest.param({"frozen_epochs": 1}, marks=pytest.mark.slow),
    ],
)
def test_two_processes_train_as_one(more, prepared, tmp_path):
    """Same losses and metrics, from the same batches in two halves."""
    options = {**prepared, **PLAIN, **more}
    if "frozen_epochs" in more:
        options["pretrained"] = save_encoder(tmp_path)
    _, one = train(tmp_path / "one", batch_size=8, **options)
    _, two = train(tmp_path / "two", batch_size=4, command=torchrun, **options)
    losses = curve(tmp_path / "one")
    assert len(losses) == 9  # 3 epochs of 24 clips
    assert curve(tmp_path / "two") == pytest.approx(losses, abs=1e-3)
    assert max(losses) - min(losses) > 0.05  # it has learnt something
    for key in ("mAP", "AUC", "loss"):
        assert two[key] == pytest.approx(one[key], abs=1e-3)
    # All eight clips, each once, though in batches of three: 3 + 1 and 3 + 1
    assert two["num_clips"] == one["num_clips"] == 8
    for log in ("train_log.txt", "per_class.csv"):
        lines = [(tmp_path / n / log).read_text() for n in ("one", "two")]
        assert len(lines[0].splitlines()) == len(lines[1].splitlines())


@pytest.mark.parametrize(
    "hparams",
    ["convnext_fftp.yaml", pytest.param("ced.yaml", marks=pytest.mark.slow)],
)
def test_batch_norms(hparams, prepared, tmp_path):
    """SpeechBrain makes them ones that need a GPU."""
    options = {**prepared, "hparams": hparams, "number_of_epochs": 1}
    if hparams == "ced.yaml":
        options.update(patch_frames=None, stride_frames=None)
    _, metrics = train(tmp_path, command=torchrun, **options)
    assert metrics["num_clips"] == 8 and math.isfinite(metrics["loss"])


def test_an_uneven_split_is_scored_whole(prepared, data_folder, tmp_path):
    """Of 7 clips on two processes one is given out twice, and scored once."""
    folder = tmp_path / "data"
    folder.mkdir()
    for path in data_folder.iterdir():
        (folder / path.name).symlink_to(path)
    segments = (data_folder / "eval_segments.csv").read_text().splitlines()
    (folder / "eval_segments.csv").unlink()
    (folder / "eval_segments.csv").write_text("\n".join(segments[:-1]) + "\n")
    options = {
        "data_folder": folder,
        "prepared_folder": tmp_path / "prepared",
        "num_workers": 0,
        "number_of_epochs": 1,
        **PLAIN,
    }
    _, one = train(tmp_path / "one", batch_size=8, **options)
    _, two = train(tmp_path / "two", batch_size=4, command=torchrun, **options)
    assert two["num_clips"] == one["num_clips"] == 7
    # Thresholds are learned on the validation clips of both
    learned = []
    for name in ("one", "two"):
        path = tmp_path / name / "inference" / "thresholds.csv"
        learned.append(re.findall(r",(\d+),", path.read_text("utf-8")))
    assert learned[0] == learned[1] and any(map(int, learned[0]))
    assert two["mAP"] == pytest.approx(one["mAP"], abs=1e-3)


def children(pid):
    """Processes started by a process."""
    listed = subprocess.run(
        ["pgrep", "-P", str(pid)], capture_output=True, text=True
    )
    return [int(line) for line in listed.stdout.split()]


@pytest.mark.slow
@pytest.mark.parametrize("format", ["flac", "webdataset"])
def test_kill_of_one_process_ends_the_job_and_it_resumes(
    format, prepared, tmp_path
):
    """With masks, mixtures and gains, which each process draws by itself."""
    options = {**prepared, "ckpt_interval_steps": 1, "format": format}
    if format == "webdataset":
        options["prepared_folder"] = tmp_path / "shards"
    _, unbroken = train(tmp_path / "unbroken", command=torchrun, **options)

    killed = tmp_path / "killed"
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen(
            torchrun(killed, **options), cwd=tmp_path, stdout=log, stderr=log
        )
        deadline = time.time() + 120
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

    output, resumed = train(killed, command=torchrun, **options)
    assert "Loading a checkpoint" in output
    for key in ("mAP", "AUC", "loss"):
        assert resumed[key] == pytest.approx(unbroken[key], abs=1e-3)
    # The mean loss of both processes, though one saves it in a checkpoint
    losses = []
    for name in ("unbroken", "killed"):
        with open(tmp_path / name / "history.csv", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            losses.append([float(row["train_loss"]) for row in rows])
    assert losses[1] == pytest.approx(losses[0], abs=1e-6)
