"""Tests of the pages of the benchmarks.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


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


@pytest.mark.slow
def test_the_job_for_a_gpu_on_a_cpu(tmp_path):
    """With all of its flags, and tiny sizes: rates first, compiled code last."""
    from paper_speed import find_configurations

    out, missing = tmp_path / "out", tmp_path / "none"
    missing.mkdir()
    done = subprocess.run(
        ["sh", ROOT / "benchmarks" / "gpu.sh", "run", missing, out],
        env={
            **os.environ,
            "PYTHON": sys.executable,
            "SMOKE": "--smoke",
            "SECONDS_LEFT": "3600",
            "COMPILE_SECONDS": "600",
            "CUDA_VISIBLE_DEVICES": "",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "failed" not in done.stderr, done.stderr
    rows = {}
    for name in ("paper_speed", "recipe_speed", "first_step_AST"):
        stored = json.loads((out / f"{name}.json").read_text("utf-8"))
        rows[name] = {
            label: row
            for machine in stored.values()
            for label, row in machine["rows"].items()
        }
    assert rows["paper_speed"].keys() == find_configurations().keys()
    assert len(rows["paper_speed"]) == 13
    for row in rows["paper_speed"].values():
        # Five epochs' clips and more take that many seconds
        assert row["hours"] * 3600 * row["median"] > 5 * 18685
    printed = (out / "paper_speed.txt").read_text("utf-8")
    assert "paper_table --tables ast --folds 1: " in printed
    assert "not measured" not in printed
    compiled = [x for x in rows["recipe_speed"] if "compiled" in x]
    for name in compiled:
        eager = rows["recipe_speed"][name.removesuffix(", compiled")]
        assert "error" not in eager | rows["recipe_speed"][name]
    assert len(compiled) >= 2
    eager, first = (
        (out / name).stat() for name in ("recipes.txt", "compiled.txt")
    )
    assert eager.st_mtime <= first.st_mtime
