"""Tests of the study, on a handful of generated clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
import io
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

STUDY = Path(__file__).resolve().parents[2] / "benchmarks" / "study"
RUNS = ["FFTP, fold 1", "square, fold 1", "x-vector, fold 1", "FFTP, fold 2"]


@pytest.fixture(scope="module")
def script():
    """The study's script as a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(STUDY.parent)
        from study import run

        yield run


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory):
    """Two words of 15 speakers as tones, silence, and background noise."""
    folder = tmp_path_factory.mktemp("data") / "words"
    rng = np.random.default_rng(0)
    pitch = {"yes": 400, "no": 1600, "_silence_": 0, "_background_noise_": 0}
    speakers = [f"{i:08x}_nohash_{k}.wav" for i in range(15) for k in range(2)]
    names = dict.fromkeys(("yes", "no"), speakers)
    names["_silence_"] = [f"{i}.wav" for i in range(16)]
    names["_background_noise_"] = ["hum.wav"]
    for word, files in names.items():
        (folder / word).mkdir(parents=True)
        size = 48000 if word == "_background_noise_" else 8000
        for name in files:
            wave = np.sin(2 * np.pi * pitch[word] / 16000 * np.arange(size))
            wave = 0.3 * wave + 0.02 * rng.standard_normal(size)
            soundfile.write(folder / word / name, wave, 16000)
    for name in ("validation_list.txt", "testing_list.txt"):
        (folder / name).write_text(f"yes/{speakers[0]}\n", "utf-8")
    return folder


def make_plan(folder):
    """A copy of the plan, beside which the choice of options is written."""
    folder.mkdir(exist_ok=True)
    return Path(shutil.copy(STUDY / "smoke.yaml", folder))


def words_for(data_folder, folder, *options):
    """The command line of a study whose files are all in a folder."""
    given = {
        "plan": folder / "plan" / "smoke.yaml",
        "work": folder / "work",
        "results": folder / "results",
    }
    parts = ((f"--{name}", str(path)) for name, path in given.items())
    return [str(data_folder), *itertools.chain(*parts), *options]


def call(script, words):
    """Exit status and output of a study in this process."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        status = script.main(words)
    return status, output.getvalue()


def rows_of(folder):
    path = folder / "results" / "smoke.jsonl"
    return path.read_text("utf-8").splitlines() if path.exists() else []


def interrupt(words, folder, count):
    """Starts a study, as a shell does; Ctrl+C after so many rows."""
    process = subprocess.Popen(
        [sys.executable, str(STUDY / "run.py"), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    deadline = time.time() + 120
    while len(rows_of(folder)) < count and process.poll() is None:
        assert time.time() < deadline
        time.sleep(0.1)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
    output = process.communicate(timeout=60)[0]
    return process.returncode, output


@pytest.fixture(scope="module")
def studied(script, data_folder, tmp_path_factory):
    """A study that was interrupted after a run, and started again."""
    folder = tmp_path_factory.mktemp("study")
    make_plan(folder / "plan")
    before = sorted(STUDY.iterdir())
    outputs = {}
    for option in ("--search", "--choose"):
        words = words_for(data_folder, folder, option)
        status, outputs[option] = call(script, words)
        assert status == 0, outputs[option]
    assert sorted(STUDY.iterdir()) == before
    words = words_for(data_folder, folder)
    status, outputs["interrupted"] = interrupt(words, folder, 4)
    assert status == 130, outputs["interrupted"]
    outputs["rows"] = len(rows_of(folder))
    status, outputs["continued"] = call(script, words)
    assert status == 0, outputs["continued"]
    return folder, outputs


def finished(output):
    """The runs that an output says have ended."""
    return re.findall(r"^(.*): [\d.]+ %, [\d.]+ CPU minutes$", output, re.M)


@pytest.mark.slow
def test_interrupted_study_continues(studied):
    outputs = studied[1]
    assert "Interrupted. The same command continues" in outputs["interrupted"]
    assert 4 <= outputs["rows"] < 7
    # Rows, of which three are trials, say what was done: the interrupt may
    # come before the line of the last one.
    done = finished(outputs["continued"])
    left = [name.partition(": ")[2] for name in done]
    assert left == RUNS[outputs["rows"] - 3 :]
    assert len(rows_of(studied[0])) == 7


@pytest.mark.slow
def test_trials_are_run_and_the_best_ones_chosen(studied):
    folder, outputs = studied
    searched = finished(outputs["--search"])
    assert len(searched) == 3
    assert all(re.match(r"search: \w+ {'lr'.*, search$", x) for x in searched)
    path = folder / "plan" / "smoke_chosen.json"
    chosen = json.loads(path.read_text("utf-8"))
    assert outputs["--choose"].strip() == path.read_text("utf-8").strip()
    models = ("fftp", "square", "x_vector")
    assert chosen["options"] == {model: {"lr": 0.001} for model in models}
    values = [list(scores.values()) for scores in chosen["scores"].values()]
    rows = [json.loads(row)["value"] for row in rows_of(folder)[:3]]
    assert values == [[round(value, 4)] for value in rows]


@pytest.mark.slow
def test_rows_agree_with_the_stored_predictions(studied):
    folder = studied[0]
    rows = [json.loads(row) for row in rows_of(folder)]
    assert len({row["run"] for row in rows}) == len(rows) == 7
    tested = {}
    for row in rows:
        path = folder / "results" / "smoke" / f"{row['run']}.npz"
        with np.load(path) as found:
            hits = found["probs"].argmax(1) == found["targets"].argmax(1)
            assert row["value"] == pytest.approx(hits.mean())
            ids, groups = found["ids"].tolist(), found["groups"].tolist()
        # Silence, which has no speaker, is reported on its own.
        assert groups == [name.split("_")[1] for name in ids]
        assert not [name for name in ids if "silence" in name]
        assert 0 <= row["silence"] <= 1
        assert tested.setdefault(row["fold"], sorted(ids)) == sorted(ids)
        assert 0 <= row["valid"] <= 1
        total = sum(row["clips"].values())
        assert total == 76 if row["fold"] != "search" else 50 < total < 70
        assert row["seed"] == 1000 + int(row["fold"].replace("search", "0"))
        assert row["overrides"]["lr"] == 0.001
        cost = 3 * row["macs"] * row["clips"]["train"] * row["epochs"]
        assert row["training_macs"] == cost > 0
        assert row["cpu_minutes"] > 0
        assert row["epochs"] == 1 and row["averaged_epochs"] == [1]
    assert not set(tested["1"]) & set(tested["2"])
    assert not list(folder.glob("work/runs/*/save"))
    assert len(list(folder.glob("work/runs/*/metrics.json"))) == 7


@pytest.mark.slow
def test_second_call_runs_nothing(studied, script, data_folder):
    folder = studied[0]
    files = [path for path in folder.rglob("*.*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    assert len(before) > 50
    words = words_for(data_folder, folder)
    assert call(script, words) == (0, "")
    assert call(script, [*words, "--search"]) == (0, "")
    files = [path for path in folder.rglob("*.*") if path.is_file()]
    assert before == {path: path.read_bytes() for path in files}


@pytest.mark.slow
def test_runs_are_listed(studied, script, data_folder):
    folder = studied[0]
    words = words_for(data_folder, folder, "--list")
    status, output = call(script, words)
    lines = output.splitlines()
    assert status == 0 and len(lines) == 6
    assert [line.split(": ")[1] for line in lines[:4]] == RUNS
    assert lines[0] == "smoke: FFTP, fold 1: 0.1 CPU minutes"
    assert re.fullmatch(r"smoke: \d+ CPU minutes", lines[4])
    assert re.fullmatch(r"4 runs, 0.\d CPU hours", lines[5])
    output = call(script, [*words, "--folds", "2", "--tables", "smoke"])[1]
    assert output.splitlines()[0].startswith("smoke: FFTP, fold 2")
    assert "1 runs" in output
    # The plan of the repository, by its name
    words = ["nowhere", "--plan", "smoke", "--search", "--list"]
    assert "3 runs" in call(script, words)[1]


@pytest.fixture
def copied(studied, script, tmp_path, monkeypatch):
    """A new study; instead of being run, models have the results of the other.

    Some fail. Returns the study's folder.
    """
    plan = make_plan(tmp_path / "plan")
    chosen = studied[0] / "plan" / "smoke_chosen.json"
    shutil.copy(chosen, plan.parent)
    fails = {
        "square": "print('out of luck'); raise SystemExit(3)",
        "x-vector": "print('done, but without a result')",
    }

    def command(study, run):
        here = study.folder(run)
        there = studied[0] / "work" / "runs" / here.name
        copy = f"shutil.copytree({str(there)!r}, {str(here)!r}, "
        copy = f"import shutil; {copy}dirs_exist_ok=True)"
        return ["-c", fails.get(run.name.partition(": ")[2], copy)]

    monkeypatch.setattr(script.Study, "command", command)
    return tmp_path


@pytest.mark.slow
def test_failed_run_is_reported_and_the_others_continue(
    copied, studied, script, data_folder
):
    words = words_for(data_folder, copied)
    status, output = call(script, words)
    assert status == 1
    assert "square, fold 1: FAILED, exit status 3\nout of luck\n" in output
    assert "FAILED, no result: FileNotFoundError" in output
    assert "\ndone, but without a result\n" in output
    assert finished(output) == [f"smoke: {run}" for run in (RUNS[0], RUNS[3])]
    last = output.splitlines()[-2:]
    for line, run in zip(last, RUNS[1:3]):
        assert line.startswith(f"FAILED: smoke: {run}: {copied}")
    values = {
        row["run"]: row["value"] for row in map(json.loads, rows_of(studied[0]))
    }
    rows = [json.loads(row) for row in rows_of(copied)]
    assert len(rows) == 2
    assert all(values[row["run"]] == row["value"] for row in rows)
    # Started again, only those that failed
    status, output = call(script, words)
    assert status == 1 and not finished(output)
    assert len(rows_of(copied)) == 2


@pytest.mark.slow
def test_run_of_another_shell_is_not_started_twice(copied, script, data_folder):
    words = words_for(data_folder, copied, "--folds", "2")
    plan = script.find_plan(str(copied / "plan" / "smoke.yaml"))
    study = script.Study(plan, data_folder, copied / "work", copied / "results")
    (run,) = plan.runs(folds=[2])
    with script.locked(study.folder(run) / "lock") as lock:
        assert lock is not None
        status, output = call(script, words)
        assert status == 0
        assert output == f"{run}: running in another process\n"
        assert not rows_of(copied)
    status, output = call(script, words)
    assert finished(output) == [str(run)] and len(rows_of(copied)) == 1


@pytest.mark.slow
def test_the_best_trial_is_chosen(copied, script, data_folder):
    """Also where rounded scores are equal, or rounded up; the first of two."""
    plan = copied / "plan" / "smoke.yaml"
    text = plan.read_text("utf-8")
    trials = "".join(f"  - {{lr: {lr}}}\n" for lr in (0.001, 0.002, 0.003))
    plan.write_text(text.replace("  - {lr: 0.001}\n", trials), "utf-8")
    found = script.find_plan(str(plan))
    found.chosen_path.unlink()
    values = {
        "fftp": (0.87656, 0.5, 0.6),
        "square": (0.50001, 0.50004, 0.50003),
        "x_vector": (0.1, 0.2, 0.2),
    }
    results = copied / "results" / "smoke.jsonl"
    results.parent.mkdir()
    words = words_for(data_folder, copied, "--choose")
    with pytest.raises(SystemExit, match="not run yet: search: fftp {'lr': "):
        script.main(words)
    store = script.Results(results.parent, found)
    rows = [
        {"run": store.digest(run), "value": values[model][number]}
        for (model, number), run in found.search_runs().items()
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    results.write_text(text, "utf-8")
    call(script, words)
    chosen = {model: options["lr"] for model, options in found.chosen.items()}
    assert chosen == {"fftp": 0.001, "square": 0.002, "x_vector": 0.002}


def test_bad_command_lines_are_explained(script, data_folder, tmp_path):
    make_plan(tmp_path / "plan")
    nowhere = tmp_path / "nowhere"
    table = ("--tables", "nix", "smoke")
    for words, reason in (
        (
            words_for(data_folder, tmp_path),
            "no smoke_chosen.json: run --search",
        ),
        (words_for(data_folder, tmp_path), "--choose first, and commit it"),
        (words_for(data_folder, tmp_path, *table), "no table nix$"),
        ([str(nowhere)], "there is no plan .*nowhere.yaml"),
    ):
        with pytest.raises(SystemExit, match=reason):
            script.main(words)
    assert not (tmp_path / "work").exists()
