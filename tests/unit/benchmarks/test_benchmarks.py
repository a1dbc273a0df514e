"""Tests that the benchmarks run, in tiny sizes, and of their pages.

Authors
 * The speechbrain_fftp authors 2026
"""

import importlib
import json
import re
import sys
import tempfile

import pytest
import torch


@pytest.fixture
def run_script(tmp_path, monkeypatch):
    def run(name, *more, file=None):
        """Runs a script with --smoke; returns its rows."""
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        options = ["--smoke", "--out", str(tmp_path / "out")]
        monkeypatch.setattr(sys, "argv", [name, *options, *more])
        # As a script may do, for this test alone
        monkeypatch.setenv("TORCHDYNAMO_DISABLE", "1")
        importlib.import_module(name).main()
        path = tmp_path / "out" / f"{file or name}.json"
        (found,) = json.loads(path.read_text("utf-8")).values()
        assert {"commit", "torch", "triton"} <= found.keys()
        return found["rows"]

    return run


@pytest.mark.slow  # some export models, one trains
@pytest.mark.parametrize(
    "name, package",
    [
        ("training", "transformers"),
        ("application", "transformers"),
        ("processes", "transformers"),
        ("tagging", "timm"),
        ("recipe_speed", "torch"),
        ("compile_time", "torch"),
    ],
)
def test_rows_are_those_that_are_stored(name, package, run_script):
    from performance_table import load

    pytest.importorskip(package)
    rows = run_script(name)
    assert not [row for row in rows.values() if "error" in row]
    for machine in load(name).values():
        assert machine["rows"].keys() <= rows.keys()
        for row, stored in machine["rows"].items():
            assert rows[row].get("against") == stored.get("against")
            if "error" not in stored:
                assert rows[row]["unit"] == stored["unit"]


@pytest.mark.parametrize("encoder", ["AST", "AuM"])
def test_the_first_step_on_a_machine(encoder, run_script):
    file = f"first_step_{encoder}"
    rows = run_script("first_step", "--encoder", encoder, file=file)
    units = [(name.split(", ")[-1], row["unit"]) for name, row in rows.items()]
    first = "first compiled step", "s"
    assert units[:3] == [("eager", "ms"), first, ("compiled", "ms")]


def test_a_failed_case_leaves_the_others_alone(tmp_path, monkeypatch):
    import harness

    options = ["--out", str(tmp_path), "--seconds", "60"]
    monkeypatch.setattr(sys, "argv", ["name", *options])
    results = harness.Results(harness.read_options(""), "name")

    def run_out_of_memory():
        raise torch.OutOfMemoryError

    results.measure("bad", run_out_of_memory)
    results.measure("good", lambda: harness.summary([3.0, 1.0, 2.0], "ms"))
    results.end = 0.0
    results.measure("late", dict)
    (found,) = json.loads((tmp_path / "name.json").read_text()).values()
    rows = found["rows"]
    assert "OutOfMemoryError" in rows["bad"]["error"]
    assert rows["late"] == {"error": "no time was left"}
    expected = {"median": 2.0, "low": 1.5, "high": 2.5, "rounds": 3}
    assert rows["good"] == {**expected, "unit": "ms"}


def test_calls_take_turns_and_are_timed_one_by_one(monkeypatch):
    import harness

    now, order = [0.0], []
    monkeypatch.setattr(harness, "clock", lambda: now[0])

    def sleep(name, seconds):
        order.append(name)
        now[0] += seconds

    monkeypatch.setattr(sys, "argv", ["name", "--rounds", "2"])
    args = harness.read_options("")
    cases = {
        "slow": lambda: sleep("slow", 1),
        "fast": lambda: sleep("fast", 0.2),
    }
    found = harness.compare(cases, args)
    medians = [found[name]["median"] for name in ("slow", "fast")]
    assert medians == pytest.approx([1000, 200])
    # Twice to warm up, then three calls of the fast one take half a second
    assert order[4:] == 2 * ["slow", "fast", "fast", "fast"]


def test_page_has_the_stored_results():
    import performance_table

    text = performance_table.PAGE.read_text("utf-8")
    assert performance_table.replace_tables(text) == text
    for path in performance_table.RESULTS.glob("*.json"):
        for found in performance_table.load(path.stem).values():
            for name, row in found["rows"].items():
                assert ("error" in row) != (f"| {name} |" in text)


def test_figures_of_readme_are_stored():
    import performance_table

    readme = performance_table.PAGE.parents[1] / "README.md"
    section = readme.read_text("utf-8").partition("## Speed\n")[2]
    measured = [
        line.split("|")[3] for line in section.splitlines() if "|" in line
    ][2:]
    page = performance_table.PAGE.read_text("utf-8")
    numbers = re.findall(r"\d+\.?\d*", page.replace(",", ""))
    for cell in measured:
        figures = re.findall(r"[\d.]+(?=x| s)", cell)
        assert figures, cell
        for figure in figures:
            digits = len(figure.partition(".")[2])
            rounded = {round(float(x), digits) for x in numbers}
            assert float(figure) in rounded, figure
