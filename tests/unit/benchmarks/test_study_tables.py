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
