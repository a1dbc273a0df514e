"""Tests that the benchmarks run, in tiny sizes, and of the table of targets.

Authors
 * The speechbrain_fftp authors 2026
"""

import importlib
import json
import sys
import tempfile
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    """Imports a script of the benchmarks' folder, whose results go nowhere."""
    monkeypatch.syspath_prepend(str(FOLDER))

    def load(name):
        harness = importlib.import_module("harness")
        for key in ("RESULTS", "ROUND_SECONDS"):
            monkeypatch.setattr(harness, key, getattr(harness, key))
        return importlib.import_module(name)

    return load


@pytest.mark.parametrize(
    "name, packages, targets",
    [
        ("front_end", (), 1),
        ("augmentation", (), 3),
        ("end_to_end", ("timm",), 2),
        pytest.param("startup", ("onnxruntime",), 7, marks=pytest.mark.slow),
        pytest.param(
            "encoder",
            ("transformers",),
            9,
            marks=pytest.mark.slow,
        ),
        ("published", ("transformers",), 2),
        ("tagging", (), 0),
        ("small_files", (), 0),
        ("timeline", (), 0),
        ("strides", (), 0),
        ("small_batches", ("transformers",), 1),
        ("find", (), 1),
        pytest.param("learn", (), 1, marks=pytest.mark.slow),
    ],
)
def test_script_runs(name, packages, targets, script, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for package in packages:
        pytest.importorskip(package)
    module = script(name)
    monkeypatch.setattr(sys, "argv", [name, "--smoke"])
    module.main()
    results = sys.modules["harness"].RESULTS
    assert results != FOLDER / "results"
    sections = json.loads((results / f"{name}.json").read_text("utf-8"))
    assert (results / f"{name}.md").read_text("utf-8")
    rows = sections.pop("Targets", {"rows": []})["rows"]
    assert len(rows) == targets
    for row in rows:
        assert row["met"].split(":")[0] in ("yes", "no")
    for section in sections.values():
        assert len(section["rows"]) > 1 and section["environment"]
        assert "not yet measured" not in str(section["rows"])


def test_all_cases_of_a_gpu_run(script, tmp_path, monkeypatch, capsys):
    module = script("gpu")
    options = ["--smoke", "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["gpu", *options])
    module.main()
    text = (tmp_path / "out" / "gpu.jsonl").read_text("utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    assert [row for row in rows if "error" in row] == []
    found = {row["case"] for row in rows}
    assert found == {
        *("device", "limits", "equal to a CPU", "scan", "inference"),
        *("both directions", "tagger", "training", "filterbank"),
    }
    equal = [row for row in rows if row["case"] == "equal to a CPU"]
    assert all(row["logits"] < 1e-4 and row["fbank"] < 1e-3 for row in equal)
    # A case that fails, or for which there is no time, leaves the others alone
    log = module.Log(tmp_path, 1e-9, "cpu", True)
    assert "no time" in log.add("late", dict)["error"]
    log.seconds = 60.0
    assert "ZeroDivisionError" in log.add("bad", lambda: 1 / 0)["error"]
    assert len((tmp_path / "gpu.jsonl").read_text("utf-8").splitlines()) == 2


def test_page_has_the_table_of_the_results(script):
    table = script("performance_table")
    text = table.PAGE.read_text("utf-8")
    assert table.replace_table(text) == text
