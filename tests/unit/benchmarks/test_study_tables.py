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
def report():
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


def test_tables_of_pull_requests_are_rows_of_the_study(report):
    tables = (report.RESULTS / "tables.md").read_text("utf-8")
    rows = [set(line.split(" | ")) for line in tables.splitlines()]
    found = 0
    for path in (report.ROOT / "tools" / "pull_requests").glob("*.md"):
        for line in path.read_text("utf-8").splitlines():
            cells = set(line.strip("| ").split(" | ")[1:])
            if re.search(r"\| \d+\.\d \[", line):
                assert any(cells <= row for row in rows), line
                found += 1
    assert found


def value_of(metric, probs, targets):
    """A score of stored predictions, by its definition or scikit-learn."""
    if metric == "accuracy":
        return (probs.argmax(1) == targets.argmax(1)).mean()
    if metric == "event_F1":
        right, found = np.split(probs.sum(0), 2)
        return (2 * right / (targets.sum(0) + found)).mean()
    metrics = pytest.importorskip("sklearn.metrics")
    some = targets.any(0) & ~targets.all(0)
    return metrics.average_precision_score(targets[:, some], probs[:, some])


@pytest.mark.parametrize("name", PLANS)
def test_figures_are_those_of_stored_predictions(name, report, figures):
    """Means and differences, without intervals."""
    plan, measured = report.Plan(name), figures["plans"][name]
    stored = plan.rows()
    assert measured["runs"] == len(stored)
    assert not any(row["changed"] for row in stored.values())
    with np.load(plan.predictions) as arrays:
        assert {key.split("/")[0] for key in arrays} == set(stored)
        for run, row in stored.items():
            probs, targets = arrays[f"{run}/probs"], arrays[f"{run}/targets"]
            value = value_of(plan.metric, probs, targets)
            assert row["value"] == pytest.approx(value, abs=1e-6)
    for table, rows in plan.tables().items():
        values = {}
        for label, row in rows.items():
            runs = report.finished(plan, row)
            values[label] = {fold: run["value"] for fold, run in runs.items()}
            if shown := measured["rows"][table][label]:
                mean = 100 * np.mean(list(values[label].values()))
                assert shown["mean"] == pytest.approx(mean)
        for label, row in rows.items():
            if row.against and values[label] and values[row.against]:
                one, other = values[label], values[row.against]
                both = set(one) & set(other)
                mean = 100 * np.mean([one[f] - other[f] for f in both])
                shown = measured["contrasts"][table][label]["value"]
                assert shown == pytest.approx(mean, abs=1e-4)


@pytest.mark.slow
def test_figures_are_measured_again(report, figures):
    found = json.loads(json.dumps(report.measure_all()))
    assert report.pages(found) == report.pages(figures)
