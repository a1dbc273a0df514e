"""Tests of the AudioSet recipe under faults: none of them loses anything.

Authors
 * The speechbrain_fftp authors 2026
"""

import os
import shutil
import signal
import subprocess
import time

import pytest
import torch
from kills import OPTIONS, soak
from recipe_runs import command, fail, faulty, read_metrics, run, train


@pytest.fixture(scope="module")
def unbroken(data_folder, tmp_path_factory):
    """Options, and metrics of a run without a fault."""
    folder = tmp_path_factory.mktemp("faults")
    options = {
        **OPTIONS,
        "data_folder": data_folder,
        "prepared_folder": folder / "prepared",
    }
    return options, train(folder / "unbroken", **options)[1]


def epochs(output):
    """The epochs that a run went through."""
    lines = [line for line in output.splitlines() if "Going into" in line]
    return [int(line.split()[-1]) for line in lines]


@pytest.mark.slow
@pytest.mark.parametrize(
    "kills, format", [(2, "flac"), (2, "webdataset"), (20, "webdataset")]
)
def test_random_kills(kills, format, data_folder, tmp_path):
    struck, lost = soak(kills, tmp_path, data_folder, format=format)
    assert sum(struck.values()) == kills
    assert not lost


def kill_when_saved(folder, words):
    """Kills a run as soon as it has two checkpoints."""
    process = subprocess.Popen(
        words,
        cwd=folder.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.time() + 120
    while len(list(folder.glob("save/CKPT+*"))) < 2:
        assert process.poll() is None and time.time() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize(
    "damage", ["cut", pytest.param("garbled", marks=pytest.mark.slow)]
)
def test_damaged_newest_checkpoint(damage, unbroken, tmp_path):
    options, metrics = unbroken
    folder = tmp_path / "run"
    kill_when_saved(folder, command(folder, **options))
    # By name: an older one that is just being deleted may have changed last.
    model = max(folder.glob("save/CKPT+*/embedding_model.ckpt"))
    newest = model.parent
    content = bytearray(model.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    else:
        content[len(content) // 2] ^= 255
    model.write_bytes(content)
    output, resumed = train(folder, **options)
    assert f"{newest} is damaged" in output
    assert (newest.parent / f"damaged+{newest.name}").is_dir()
    assert resumed == metrics


def test_clock_set_back(unbroken, tmp_path):
    """A day back in the middle of a training, and then right again."""
    options, metrics = unbroken
    folder = tmp_path / "run"
    kill_when_saved(folder, command(folder, **options))
    fault = {"clock": -86400, "folder": str(folder), "matching": "save"}
    status, output = run(
        folder, command=faulty, fault={**fault, "kill_at": 40}, **options
    )
    assert status == -signal.SIGKILL
    reached = epochs(output)[-1]
    output, resumed = train(folder, **options)
    assert min(epochs(output), default=4) >= reached
    assert resumed == metrics


def test_death_of_a_loading_process(unbroken, tmp_path):
    options, metrics = unbroken
    folder = tmp_path / "run"
    words = command(folder, **{**options, "num_workers": 1})
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen(words, cwd=tmp_path, stdout=log, stderr=log)
        deadline = time.time() + 120
        killed = False
        while process.poll() is None and time.time() < deadline:
            if not killed and list(folder.glob("save/CKPT+*")):
                listed = subprocess.run(
                    ["pgrep", "-P", str(process.pid)],
                    capture_output=True,
                    text=True,
                ).stdout.split()
                if listed:
                    os.kill(int(listed[0]), signal.SIGKILL)
                    killed = True
            time.sleep(0.005)
    assert killed and process.returncode not in (0, None)
    assert "DataLoader worker" in (tmp_path / "log").read_text()
    assert train(folder, **options)[1] == metrics


def test_clips_damaged_after_preparation(data_folder, tmp_path):
    options = {**OPTIONS, "data_folder": data_folder}
    train(tmp_path / "run", "--debug", **options)
    prepared = tmp_path / "run" / "prepared"
    damaged = {}
    for split in ("train", "eval"):
        names = (prepared / f"{split}.csv").read_text().splitlines()[1:]
        damaged[split] = names[0].split(",")[0]
        clip = prepared / "flac" / f"{damaged[split]}.flac"
        content = clip.read_bytes()
        clip.write_bytes(os.urandom(len(content)))
    output, metrics = train(
        tmp_path / "again", prepared_folder=prepared, **options
    )
    for clip in damaged.values():
        assert f"Skipped {prepared}/flac/{clip}.flac" in output
    assert metrics["unreadable"] == [damaged["eval"]]
    assert metrics["num_clips"] == 7

    # The remedy in the message repairs it.
    (prepared / "train.csv").unlink()
    for clip in damaged.values():
        (prepared / "flac" / f"{clip}.flac").unlink()
    output, metrics = train(
        tmp_path / "repaired", prepared_folder=prepared, **options
    )
    assert "Skipped" not in output
    assert metrics["unreadable"] == [] and metrics["num_clips"] == 8


def test_no_clip_can_be_read(data_folder, tmp_path):
    options = {**OPTIONS, "data_folder": data_folder}
    train(tmp_path / "run", "--debug", **options)
    for clip in (tmp_path / "run" / "prepared" / "flac").iterdir():
        clip.write_bytes(b"")
    message = fail(tmp_path / "run", **options)
    assert "can be read" in message and "prepared folder" in message


@pytest.mark.parametrize(
    "patience, said",
    [
        (0, "loss is nan"),
        pytest.param(9, "have scores that are not", marks=pytest.mark.slow),
    ],
)
def test_loss_that_is_not_a_number(patience, said, unbroken, tmp_path):
    options, metrics = unbroken
    folder = tmp_path / "run"
    diverging = {"lr": 1e38, "warmup_steps": 6, "ckpt_interval_steps": 1}
    diverging.update(nonfinite_patience=patience, number_of_epochs=20)
    message = fail(folder, **{**options, **diverging})
    assert said in message and "lower lr and another" in message
    for path in folder.glob("save/CKPT+*/*_model.ckpt"):
        for value in torch.load(path).values():
            assert value.isfinite().all()
    assert "lr: 1e+38 -> 0.001" in fail(folder, **options)
    assert train(tmp_path / "other", **options)[1] == metrics


def test_data_folder_that_cannot_be_written(data_folder, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(data_folder, folder)
    listed = sorted((p, p.stat().st_mtime_ns) for p in folder.rglob("*"))
    for path, _ in listed:
        path.chmod(0o555)
    folder.chmod(0o555)  # root may write all the same: so look
    train(tmp_path / "run", "--debug", **{**OPTIONS, "data_folder": folder})
    again = sorted((p, p.stat().st_mtime_ns) for p in folder.rglob("*"))
    assert again == listed
    folder.chmod(0o755)
    (folder / "audio").chmod(0o755)  # so that it can be removed


FULL_DISK = """
set -e
mount -t tmpfs -o size={small} tmpfs {folder}
set +e
{command} > {log} 2>&1
echo $? > {status}
set -e
mount -o remount,size=500m {folder}
{command} > {log}2 2>&1
cp {folder}/metrics.json {metrics}
"""


@pytest.mark.parametrize(
    "small",
    [
        pytest.param("400k", id="prepare"),
        pytest.param("6m", id="train", marks=pytest.mark.slow),
    ],
)
def test_full_disk(small, data_folder, unbroken, tmp_path):
    """Runs on a small disk; once there is room it ends as the others do."""
    namespace = ["unshare", "--mount", "--map-root-user"]
    if subprocess.run(
        [*namespace, "mount", "-t", "tmpfs", "x", "/mnt"]
    ).returncode:
        pytest.skip("no right to mount a small disk here")
    folder = tmp_path / "disk"
    folder.mkdir()
    options = {**OPTIONS, "data_folder": data_folder}
    names = {n: tmp_path / n for n in ("log", "status", "metrics")}
    script = FULL_DISK.format(
        folder=folder,
        small=small,
        command=" ".join(command(folder, **options)),
        **names,
    )
    subprocess.run([*namespace, "sh", "-c", script], check=True, cwd=tmp_path)
    assert names["status"].read_text().strip() != "0"
    log = names["log"].read_text()
    assert "No space left" in log or "cannot be written" in log
    assert read_metrics(names["metrics"]) == unbroken[1]
