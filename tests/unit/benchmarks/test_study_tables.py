"""Tests of the study's figures, and of the pages that `make evidence` writes.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
PLANS = sorted(path.stem for path in (BENCHMARKS / "study").glob("*.yaml"))


@pytest.fixture
def report(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from study import report

    return report


@pytest.fixture
def figures():
    path = BENCHMARKS / "results" / "study" / "figures.json"
    return json.loads(path.read_text("utf-8"))


def test_pages_are_what_make_evidence_writes(report, figures):
    assert sorted(figures["plans"]) == PLANS
    for page, text in report.pages(figures).items():
        assert page.read_text("utf-8") == text, page


def test_links_of_the_evidence_and_to_its_sections_hit(report):
    page = report.EVIDENCE.read_text("utf-8")
    titles = re.findall(r"^#+ (.*)$", page, re.M)
    anchors = {title.lower().replace(" ", "-") for title in titles}
    for path in [report.README, *report.EVIDENCE.parent.glob("*.md")]:
        start = "" if path == report.EVIDENCE else r"[\w/]*evidence\.md"
        text = path.read_text("utf-8")
        found = set(re.findall(rf"\]\({start}#([\w-]+)\)", text))
        assert found <= anchors, path
    for target in re.findall(r"\]\(([\w./-]+)", page):
        assert (report.EVIDENCE.parent / target).exists(), target


@pytest.mark.parametrize("name", PLANS)
def test_figures_are_those_of_stored_predictions(name, report, figures):
    """Means and differences, without intervals."""
    plan, measured = report.Plan(name), figures["plans"][name]
    stored = plan.rows()
    if measured is None:
        assert not stored or not plan.chosen_path.exists()
        return
    assert measured["runs"] == len(stored)
    known = {plan.digest(run) for run in plan.runs()}
    for runs in plan.search_runs().values():
        known |= {plan.digest(run) for run in runs}
    assert set(stored) <= known
    assert not any(row["changed"] for row in stored.values())
    for run, row in stored.items():
        path = plan.path.with_suffix("") / f"{run}.npz"
        with np.load(path) as found:
            probs, targets = found["probs"], found["targets"]
            assert len(found["ids"]) == len(found["groups"]) == len(targets)
        if plan.metric == "event_F1":  # right, and found ones
            right, all_ = np.split(probs.sum(0), 2)
            true = targets.sum(0)
            assert (right <= np.minimum(true, all_)).all()
            value = (2 * right / (true + all_)).mean()
        elif plan.metric == "accuracy":
            value = (probs.argmax(1) == targets.argmax(1)).mean()
        else:
            metrics = pytest.importorskip("sklearn.metrics")
            some = targets.any(0) & ~targets.all(0)
            value = metrics.average_precision_score(
                targets[:, some], probs[:, some]
            )
        assert row["value"] == pytest.approx(value, abs=1e-6)
    for table, rows in plan.tables().items():
        means = {}
        for label, row in rows.items():
            runs = report.finished(plan, row)
            means[label] = {fold: run["value"] for fold, run in runs.items()}
            if shown := measured["rows"][table][label]:
                value = 100 * np.mean(list(means[label].values()))
                assert shown["mean"] == pytest.approx(value)
        for label, row in rows.items():
            if row.against and means[label] and means[row.against]:
                folds = set(means[label]) & set(means[row.against])
                one, other = means[label], means[row.against]
                value = 100 * np.mean([one[f] - other[f] for f in folds])
                shown = measured["contrasts"][table][label]["value"]
                assert shown == pytest.approx(value, abs=1e-4)


@pytest.mark.slow
def test_figures_are_measured_again(report, figures, tmp_path):
    report.write_json(tmp_path / "figures.json", report.measure_all())
    found = json.loads((tmp_path / "figures.json").read_text("utf-8"))
    assert report.pages(found) == report.pages(figures)
