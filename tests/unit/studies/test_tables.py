"""Tests of the pages that `make evidence` writes.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import re

import pytest


@pytest.fixture
def report():
    from studies import report

    return report


@pytest.fixture
def figures(report):
    path = report.RESULTS / "figures.json"
    return json.loads(path.read_text("utf-8"))


def test_pages_are_what_make_evidence_writes(report, figures):
    plans = (report.ROOT / "studies" / "plans").glob("*.yaml")
    assert figures.keys() == {path.stem for path in plans}
    for page, text in report.pages(figures).items():
        assert page.read_text("utf-8") == text, page


def test_accuracies_of_readme_are_on_a_page_of_results(report):
    """For those of speed, see tests/unit/benchmarks."""
    readme = (report.ROOT / "README.md").read_text("utf-8")
    readme = re.sub(report.BLOCK, "", readme, flags=re.DOTALL)
    pages = [*report.RESULTS.rglob("*.md")]
    pages.append(report.ROOT / "recipes" / "Starter" / "README.md")
    pages.append(report.ROOT / "docs" / "learn.md")
    pages = " ".join(page.read_text("utf-8") for page in pages)
    form = r"([\d.]+)(?: to ([\d.]+))?\)? (?:%|points)|mAP ([\d.]+)"
    accuracies = {x for x in sum(re.findall(form, readme), ()) if x}
    accuracies -= {"95"}  # % intervals
    assert len(accuracies) > 4
    assert accuracies <= set(re.findall(r"\d+(?:\.\d+)?", pages))


@pytest.mark.slow
def test_figures_are_measured_again(report, figures):
    found = json.loads(json.dumps(report.measure_all()))
    assert report.pages(found) == report.pages(figures)
