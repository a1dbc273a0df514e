"""Tests that the benchmarks run, in tiny sizes, and of the table of targets.

Authors
 * The speechbrain_fftp authors 2026
"""

import importlib
import json
import subprocess
import sys
import tempfile

import pytest
import torch


@pytest.fixture
def harness(monkeypatch):
    import harness

    for name in ("RESULTS", "ROUND_SECONDS"):  # which --smoke changes
        monkeypatch.setattr(harness, name, getattr(harness, name))
    return harness


@pytest.mark.parametrize(
    "name, package",
    [
        ("front_end", "torchaudio"),
        ("augmentation", "torchaudio"),
        ("find", "numpy"),
        pytest.param("training_step", "transformers", marks=pytest.mark.slow),
        # Each exports models, which takes a minute
        pytest.param("end_to_end", "timm", marks=pytest.mark.slow),
        pytest.param("published", "transformers", marks=pytest.mark.slow),
        pytest.param("startup", "onnx", marks=pytest.mark.slow),
        pytest.param("mamba", "onnx", marks=pytest.mark.slow),
        pytest.param("learn", "onnx", marks=pytest.mark.slow),
    ],
)
def test_script_runs(name, package, harness, tmp_path, monkeypatch):
    pytest.importorskip(package)
    stored = json.loads((harness.RESULTS / f"{name}.json").read_text("utf-8"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [name, "--smoke"])
    importlib.import_module(name).main()
    assert tmp_path in harness.RESULTS.parents
    found = json.loads((harness.RESULTS / f"{name}.json").read_text("utf-8"))
    assert {row["work"] for row in found["Targets"]["rows"]} == {
        row["work"].replace("100 hours", "2 hours")
        for row in stored["Targets"]["rows"]
    }
    for section in found.values():
        assert section["rows"] and section["environment"]


def test_all_cases_of_a_gpu_run(harness, tmp_path, monkeypatch):
    import gpu

    options = ["--smoke", "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["gpu", *options])
    gpu.main()
    text = (tmp_path / "out" / "gpu.jsonl").read_text("utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    assert [row for row in rows if "error" in row] == []
    found = {row["case"] for row in rows}
    assert found == {
        *("device", "limits", "equal to a CPU", "scan", "inference"),
        *("training", "filterbank", "front end"),
    }
    for row in rows:
        assert {"commit", "torch", "triton", "mamba_ssm"} <= {*row}

    def run_out_of_memory():
        raise torch.OutOfMemoryError

    def take_too_long():
        raise subprocess.TimeoutExpired("train.py", 1.0)

    # A case that fails, or for which there is no time, leaves the others alone
    log = harness.Log(tmp_path / "gpu.jsonl", 60.0, "cpu", True)
    assert "OutOfMemoryError" in log.add("bad", run_out_of_memory)["error"]
    assert "TimeoutExpired" in log.add("slow", take_too_long)["error"]
    log.seconds = 0.0
    assert "no time" in log.add("late", dict)["error"]


@pytest.mark.slow  # it trains, in a process of its own
def test_all_cases_of_the_recipe(harness, tmp_path, monkeypatch):
    import recipe_speed

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    out = tmp_path / "out"
    options = ["--smoke", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["recipe_speed", *options])
    recipe_speed.main()
    text = (out / "recipe_speed.jsonl").read_text("utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    assert [row for row in rows if "error" in row] == []
    assert {row["case"] for row in rows} == {"loader", "launches", "recipe"}
    for row in rows:
        assert row.get("waits", 0) == 0
        assert row.get("clips_per_second", 1) > 0


def test_figures_are_the_latest_ones(scripts):
    from performance_table import latest, newest
    from recipe_speed import read_speed

    log = """\
epoch: 1 - train loss: 1.2e+00, train clips_per_second: 4.0e+01
epoch: 2 - train loss: 1.1e+00, train clips_per_second: 2.5e+03
Epoch loaded: 2 - test loss: 7.0e-01
"""
    found = {"clips_per_second": 2500}
    assert read_speed(log) == found
    rows = [
        {"batch": 48, "clips_per_second": 1900.0},
        {"batch": 48, **found},
        {"batch": 12, "clips_per_second": 900.0},
        {"batch": 48, "error": "no time was left"},
    ]
    assert latest(rows, "clips_per_second", {"batch": 48}) == 2500
    assert latest(rows, "clips_per_second", {"batch": 96}) is None
    # Another scan is another case, and another commit another table
    rows.append({"batch": 48, "scan": "mamba_ssm", "clips_per_second": 1.0})
    assert latest(rows, "clips_per_second", {"batch": 48}) == 2500
    rows = [{"commit": "a", "batch": 48}, {"commit": "b", "batch": 12}]
    assert newest(rows) == rows[1:] and newest([]) == []


@pytest.mark.slow  # it collects tests in a process of its own
def test_marks_collect_the_tests_of_kernels_and_encoders():
    """Without a GPU, they are collected all the same."""
    import gpu

    words = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-m",
        "gpu",
    ]
    done = subprocess.run(
        [*words, "-p", "no:cacheprovider", *gpu.TESTS],
        cwd=gpu.ROOT,
        capture_output=True,
        text=True,
    )
    found = done.stdout.splitlines()
    for path in gpu.TESTS:
        assert any(line.startswith(f"{path}::") for line in found), path
    kernels = [line for line in found if "test_triton" in line]
    assert len(kernels) >= 14


def test_a_run_in_which_no_test_passed_is_an_error():
    from gpu import count_tests

    found = count_tests(["32 passed, 3 skipped in 40.14s"], 0)
    assert found == {"passed": 32, "failed": 0, "skipped": 3, "errors": 0}
    for line, status in (
        ("180 deselected in 2.43s", 5),
        ("3 skipped in 2.43s", 0),
        ("1 failed, 31 passed in 2.43s", 1),
    ):
        assert "error" in count_tests([line], status)


def test_pages_are_those_of_the_results(harness):
    import performance_table

    text = performance_table.PAGE.read_text("utf-8")
    assert performance_table.replace_tables(text) == text
    page = harness.RESULTS / "README.md"
    assert page.read_text("utf-8") == harness.page_of(harness.RESULTS)
