"""Tests that the benchmarks run, in tiny sizes, and of the table of targets.

Authors
 * The speechbrain_fftp authors 2026
"""

import importlib
import json
import sys
import tempfile

import pytest


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
        *("both directions", "training", "filterbank"),
    }
    # A case that fails, or for which there is no time, leaves the others alone
    log = harness.Log(tmp_path / "gpu.jsonl", 1e-9, "cpu", True)
    assert "no time" in log.add("late", dict)["error"]
    log.seconds = 60.0
    assert "ZeroDivisionError" in log.add("bad", lambda: 1 / 0)["error"]
    assert len((tmp_path / "gpu.jsonl").read_text("utf-8").splitlines()) == 2


def test_pages_are_those_of_the_results(harness):
    import performance_table

    text = performance_table.PAGE.read_text("utf-8")
    assert performance_table.replace_tables(text) == text
    page = harness.RESULTS / "README.md"
    assert page.read_text("utf-8") == harness.page_of(harness.RESULTS)
