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


@pytest.fixture
def run_script(tmp_path, monkeypatch):
    def run(name):
        """Runs a script with --smoke; returns its rows."""
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        options = ["--smoke", "--out", str(tmp_path / "out")]
        monkeypatch.setattr(sys, "argv", [name, *options])
        # As a script may do, for this test alone
        monkeypatch.setenv("TORCHDYNAMO_DISABLE", "1")
        importlib.import_module(name).main()
        path = tmp_path / "out" / f"{name}.json"
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


def test_page_has_the_stored_results():
    """And README no others."""
    import performance_table

    text = performance_table.PAGE.read_text("utf-8")
    assert performance_table.replace_tables(text) == text
    readme = performance_table.PAGE.parents[1] / "README.md"
    section = readme.read_text("utf-8").partition("## Speed\n")[2]
    section = section.partition("\n## ")[0]
    figures = re.findall(r"[\d.]+(?=x| s\b)", section)
    numbers = re.findall(r"\d+\.?\d*", text.replace(",", ""))
    assert figures
    for figure in figures:
        digits = len(figure.partition(".")[2])
        assert float(figure) in {round(float(x), digits) for x in numbers}
