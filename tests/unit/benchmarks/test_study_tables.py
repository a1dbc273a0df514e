"""Tests of the study's tables, and of the pages that show them.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import numpy as np
import pytest
import yaml

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
PLAN = {
    "recipe": "recipe.py",
    "base": "base.yaml",
    "metric": "accuracy",
    "seconds": 1.0,
    "n_classes": 2,
    "margin": 1.0,
    "groups": "speakers",
    "start_seconds": 6,
    "options": {"lr": 0.001, "mask_budget": 0.0},
    "models": {
        "one": {
            "yaml": "one.yaml",
            "epochs": 2,
            "epoch_seconds": 3,
            "options": {},
        }
    },
    "tables": {
        "first": {
            "title": "First",
            "folds": 2,
            "rows": [
                {"label": "a", "model": "one", "epochs": 2},
                {"label": "b", "model": "one", "epochs": 4, "against": "a"},
            ],
        },
        "second": {
            "title": "Second",
            "folds": 2,
            "rows": [
                {"label": "a", "model": "one", "epochs": 6},
                {"label": "b", "model": "one", "epochs": 8, "against": "a"},
                {"label": "c", "model": "one", "epochs": 9, "against": "a"},
            ],
            "interactions": [{"label": "b", "against": "a", "table": "first"}],
        },
    },
}
# Correct answers of 20 speakers with one clip each, by table and label
RIGHT = {"first a": 12, "first b": 16, "second a": 10, "second b": 10}


@pytest.fixture
def report(tmp_path, monkeypatch):
    """A report on two tables, whose last row has not been run."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from study.plan import Plan
    from study.report import Report
    from study.results import Results
    from study.uncertainty import Scores

    path = tmp_path / "words.yaml"
    path.write_text(yaml.safe_dump(PLAN), "utf-8")
    plan = Plan(path)
    results = Results(tmp_path, plan)
    ids = np.array([f"clip {i:02}" for i in range(20)])
    targets = np.tile([True, False], (20, 1))
    for run in plan.runs():
        name = run.name.replace(":", "")
        if name in RIGHT:
            hits = np.arange(20) < RIGHT[name]
            probs = np.stack([hits, ~hits], 1).astype(np.float16)
            row = {
                "value": hits.mean(),
                "silence": 0.9,
                "fold": str(run.fold),
                "macs": 2_000_000,
                "training_macs": 3e12,
                "cpu_minutes": float(run.fold),
                "resumed": run.fold == 2,
                "processor": "a processor",
                "commit": "0123456789abcdef",
            }
            results.add(run, row, Scores(ids, ids, targets, probs))
    return Report(results)


def cells(lines, label):
    """The cells of a row of a table."""
    (line,) = [line for line in lines if line.startswith(f"| {label} |")]
    return line.strip("| ").split(" | ")


def test_table_shows_means_costs_and_differences(report):
    lines = report.lines("first")
    first, second = cells(lines, "a"), cells(lines, "b")
    assert first[:7] == ["a", "0.001, 0 %", "2.0", "3.00", "2", "1.0", "2"]
    assert first[7].startswith("60.0 [") and first[8:] == ["-", "-", "-"]
    assert second[7].startswith("80.0 [")
    # Four more of 20 independent clips are correct, and none fewer, in each of
    # two folds; draws are of folds and clips.
    value, interval = second[8].split(" [")
    low, high = (float(x) for x in interval.split("] to")[0].split(", "))
    assert value == "+20.0" and second[8].endswith("to a")
    error = 100 * (0.2 * 0.8 / 40) ** 0.5
    assert low == pytest.approx(20 - 2 * error, abs=4)
    assert high == pytest.approx(20 + 2 * error, abs=4)
    assert second[10] == "higher"


def test_interactions_compare_differences(report):
    (line,) = [x for x in report.lines("second") if x.startswith("b minus a")]
    assert "(table first): -20.0 [" in line and line.endswith("lower.")


def test_missing_runs_are_named_and_count_for_the_correction(report):
    lines = report.lines("second")
    assert cells(lines, "c")[-1] == "not yet run"
    equal = cells(lines, "b")
    assert equal[8:] == ["+0.0 [+0.0, +0.0] to a", "1.000", "equal within 1"]
    assert len(report.findings) == 4
    *_, p, _ = cells(report.lines("first"), "b")
    uncorrected = report.findings["first", "b"][0].p
    assert float(p) == pytest.approx(4 * uncorrected, abs=5e-4)


def test_page_names_runs_and_times(report):
    text = report.page()
    assert "8 runs in 0.2 CPU hours, of commits 0123456789." in text
    assert "the 4 contrasts that\nthe plan declares" in text
    assert "90 to 90 % correct" in text


def test_blocks_of_pages_are_replaced(report):
    text = "x\n<!-- study words first configuration finding -->\nold\n<!-- end -->y"
    found = report.fill(text)
    assert "old" not in found and found.startswith("x\n<!-- study words")
    assert "| configuration | finding |" in found and "| b | higher |" in found
    assert found.endswith("<!-- end -->y") and report.fill(found) == found
    other = "<!-- study others first -->\nold\n<!-- end -->"
    assert report.fill(other) == other


@pytest.mark.parametrize(
    "name",
    ["audioset_mini", "encoders", "reuse", "sound_events", "speech_commands"],
)
def test_pages_show_the_committed_runs(name, monkeypatch):
    """Each figure of a table in docs and README is that of stored runs."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from study.plan import find_plan
    from study.report import PAGES, Report
    from study.results import Results

    results = Results(BENCHMARKS / "results" / "study", find_plan(name))
    report = Report(results)
    for page in PAGES:
        text = page.read_text("utf-8")
        assert report.fill(text) == text
    if report.stored:
        page = results.path.with_suffix(".md")
        assert page.read_text("utf-8") == report.page()
    known = {results.digest(run) for run in results.plan.runs()}
    known |= {results.digest(r) for r in results.plan.search_runs().values()}
    assert set(report.stored) <= known
    for run, row in report.stored.items():
        path = results.path.with_suffix("") / f"{run}.npz"
        with np.load(path) as found:
            probs, targets = found["probs"], found["targets"]
            if results.plan.metric == "event_F1":  # right, and found ones
                right, all_ = np.split(probs.sum(0), 2)
                true = targets.sum(0)
                assert (right <= np.minimum(true, all_)).all()
                f1 = (2 * right / (true + all_)).mean()
                assert row["value"] == pytest.approx(f1, abs=1e-6)
            else:
                assert probs.shape == targets.shape
            assert len(found["ids"]) == len(found["groups"])
            if results.plan.metric == "accuracy":
                hits = found["probs"].argmax(1) == found["targets"].argmax(1)
                assert row["value"] == pytest.approx(hits.mean(), abs=1e-6)
    assert not any(row["changed"] for row in report.stored.values())
