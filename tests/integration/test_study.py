"""Tests of the study, on a handful of synthetic words.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from speechbrain_fftp.datasets.synthetic.words import make_word_set

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
LABELS = ("FFTP 10/5", "square 16/16", "no masks", " x 2", "x-vector")


def command(data_folder, work, *options):
    script = str(BENCHMARKS / "study.py")
    words = [sys.executable, script, str(data_folder), "--smoke"]
    return [*words, "--work", str(work), *options]


def study(*words):
    """Runs a study to its end; gives its exit status and its output."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command(*words),
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
    )
    return done.returncode, done.stdout + done.stderr


def rows_of(work):
    path = work / "study_words.jsonl"
    return path.read_text().splitlines() if path.exists() else []


def processes_in(work):
    """Processes with the folder in their command line, zombies left out."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(work).encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:  # it has ended
            continue
    return found


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "words"
    make_word_set(str(folder), num_speakers=3, num_takes=1)
    return folder


@pytest.fixture(scope="module")
def studied(words, tmp_path_factory):
    """A study that was killed after its first run, and started again."""
    work = tmp_path_factory.mktemp("study")
    killed = subprocess.Popen(
        command(words, work),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    deadline = time.time() + 120
    while not rows_of(work) and killed.poll() is None:
        assert time.time() < deadline
        time.sleep(0.1)
    killed.kill()
    output = killed.communicate()[0].decode()
    assert killed.returncode == -9, output
    before = len(rows_of(work))
    deadline = time.time() + 20
    while processes_in(work):
        assert time.time() < deadline, "runs go on without their study"
        time.sleep(0.1)
    status, output = study(words, work)
    assert status == 0, output
    return work, before, output


def test_killed_study_goes_on(studied):
    work, before, output = studied
    assert 0 < before < len(LABELS)
    started = re.findall(r"^\[(\d)/(\d)\]", output, re.MULTILINE)
    left = str(len(LABELS) - before)
    assert [last for _, last in started] == [left] * int(left)


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
    status, output = study(words, work)
    assert status == 0
    assert "[1/" not in output
    after = {path.name: path.read_bytes() for path in work.glob("*.*")}
    assert before == after


def test_failed_run_is_reported_and_the_others_go_on(
    studied, words, tmp_path, monkeypatch, capsys
):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import study as script
    import study_runs

    shutil.copytree(studied[0] / "prepared", tmp_path / "prepared")

    def quick(run, data_folder, work):
        if "no masks" in run.name:
            code = "import sys; print('out of luck'); sys.exit(3)"
        elif "x-vector" in run.name:
            code = "print('all is well, but where is the result?')"
        else:
            path = str(run.folder(work) / "metrics.json")
            code = f"open({path!r}, 'w').write('{{\"accuracy\": 0.5}}')"
        return [sys.executable, "-c", code]

    monkeypatch.setattr(study_runs, "command", quick)
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


def test_bad_command_lines_are_explained(words, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import study as script

    for options, reason in (
        ([str(tmp_path / "nowhere")], "no data folder .*nowhere"),
        ([str(tmp_path)], "neither word folders .* nor"),
        (
            [str(words), "--grids", "nix"],
            "no grid nix; there are training_macs",
        ),
    ):
        with pytest.raises(SystemExit, match=reason):
            script.main([*options, "--plan"])
