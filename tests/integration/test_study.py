"""Tests of the study, on a handful of synthetic words.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from speechbrain_fftp.datasets.synthetic.words import make_word_set

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
LABELS = ("FFTP 10/5", "square 16/16", "no masks", " x 2", "x-vector")


def start(data_folder, work):
    """Starts a study in a process group of its own, as a shell does."""
    script = str(BENCHMARKS / "study" / "run.py")
    words = [sys.executable, script, str(data_folder), "--smoke"]
    return subprocess.Popen(
        [*words, "--work", str(work)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


def finish(process):
    """Exit status and output of a study."""
    output = process.communicate(timeout=300)[0]
    return process.returncode, output


def rows_of(work):
    path = work / "study_words.jsonl"
    return path.read_text().splitlines() if path.exists() else []


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "words"
    make_word_set(str(folder), num_speakers=3, num_takes=1)
    return folder


@pytest.fixture(scope="module")
def studied(words, tmp_path_factory):
    """A study that was interrupted after its first run, and started again."""
    work = tmp_path_factory.mktemp("study")
    interrupted = start(words, work)
    deadline = time.time() + 120
    while not rows_of(work) and interrupted.poll() is None:
        assert time.time() < deadline
        time.sleep(0.1)
    os.killpg(interrupted.pid, signal.SIGINT)  # as Ctrl+C does
    status, output = finish(interrupted)
    assert status == 130, output
    assert "Interrupted" in output
    before = len(rows_of(work))
    status, output = finish(start(words, work))
    assert status == 0, output
    return work, before, output


def test_interrupted_study_continues(studied):
    work, before, output = studied
    assert 0 < before < len(LABELS)
    done = re.findall(r"^smoke: .*: accuracy", output, re.MULTILINE)
    assert len(done) == len(LABELS) - before


def test_all_rows_are_there_and_in_the_report(studied):
    work = studied[0]
    rows = [json.loads(row) for row in rows_of(work)]
    assert len(rows) == len({str(row["overrides"]) for row in rows}) == 5
    for row in rows:
        assert 0 <= row["value"] <= 1
        assert min(row["clips"].values()) == 12
        assert row["cpu_minutes"] > 0
        cost = 3 * row["macs"] * row["clips"]["train"] * row["epochs"]
        assert row["training_macs"] == cost
    assert not list(work.glob("runs/*/save"))
    assert len(list(work.glob("runs/*/metrics.json"))) == 5
    report = (work / "study_words.md").read_text()
    table = [line for line in report.splitlines() if line.startswith("| ")]
    assert len(table) == 6
    for label, line in zip(LABELS, table[1:]):
        assert label in line.split("|")[1]
        assert "| - | - | - | - | - | - |" not in line
    for name in re.findall(r"!\[.*\]\((.*)\)", report):
        assert (work / name).stat().st_size > 5000
        assert (work / name).with_suffix(".svg").is_file()


def test_macs_of_the_narrow_model_are_matched(studied):
    rows = [json.loads(row) for row in rows_of(studied[0])]
    (fftp, *_) = (row["macs"] for row in rows if "fftp" in row["yaml"])
    square = [row["macs"] for row in rows if "square" in row["yaml"]]
    assert min(square) == pytest.approx(fftp, rel=0.15)
    assert max(square) > 1.5 * fftp


def test_second_call_runs_nothing(studied, words):
    work = studied[0]
    before = {path.name: path.read_bytes() for path in work.glob("*.*")}
    status, output = finish(start(words, work))
    assert status == 0
    assert "accuracy" not in output
    after = {path.name: path.read_bytes() for path in work.glob("*.*")}
    assert before == after


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from study import run

    return run


def stub(run, data_folder, work):
    """A command in place of the recipe: some fail."""
    if "no masks" in run.name:
        return ["-c", "import sys; print('out of luck'); sys.exit(3)"]
    if "x-vector" in run.name:
        return ["-c", "print('done, but without a result')"]
    path = str(run.folder(work) / "metrics.json")
    return ["-c", f"open({path!r}, 'w').write('{{\"accuracy\": 0.5}}')"]


def test_failed_run_is_reported_and_the_others_continue(
    studied, words, tmp_path, script, monkeypatch, capsys
):
    shutil.copytree(studied[0] / "prepared", tmp_path / "prepared")
    monkeypatch.setattr(script, "command", stub)
    status = script.main([str(words), "--smoke", "--work", str(tmp_path)])
    output = capsys.readouterr().out
    assert status == 1
    assert "FAILED, exit status 3\nout of luck" in output
    assert "FAILED, no result" in output
    last = output.splitlines()[-2:]
    assert [line.split(",")[0] for line in last] == [
        "FAILED: smoke: no masks",
        "FAILED: smoke: x-vector",
    ]
    assert len(rows_of(tmp_path)) == 3
    assert "| no masks | - |" in (tmp_path / "study_words.md").read_text()


def test_run_of_another_shell_is_not_started_twice(
    studied, words, tmp_path, script, monkeypatch, capsys
):
    shutil.copytree(studied[0] / "prepared", tmp_path / "prepared")
    monkeypatch.setattr(script, "command", stub)
    data = script.find_data(words)
    grids = script.read_grids(data, smoke=True)
    first, second, *_ = script.plan(grids, data, [1], "cpu")[0]
    results = tmp_path / "study_words.jsonl"
    with script.locked(first.folder(tmp_path) / "lock") as lock:
        assert lock is not None
        failed = script.execute_all([first, second], words, tmp_path, results)
    assert not failed and len(rows_of(tmp_path)) == 1
    assert f"{first}: running in another process" in capsys.readouterr().out
    script.execute_all([first, second], words, tmp_path, results)
    assert len(rows_of(tmp_path)) == 2


def test_bad_command_lines_are_explained(words, tmp_path, script):
    for options, reason in (
        ([str(tmp_path / "nowhere")], "no data folder .*nowhere"),
        ([str(tmp_path)], "holds neither Speech Commands .* nor"),
        (
            [str(words), "--grids", "nix"],
            "no grid nix; there are training_macs",
        ),
    ):
        with pytest.raises(SystemExit, match=reason):
            script.main([*options, "--plan"])


def test_models_are_timed(words, tmp_path, script, monkeypatch):
    monkeypatch.setattr(
        script,
        "compare",
        lambda cases: {
            key: {"median": float(case().shape[1])}
            for key, case in cases.items()
        },
    )
    data = script.find_data(words)
    times = script.measure_latency(script.read_grids(data, True), data)
    assert len(times) == 4
    assert {time["median"] for time in times.values()} == {data.n_classes}
