"""Tests of the study's figures, and of the pages that `make evidence` writes.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
STUDIES = ROOT / "studies"
PLANS = sorted(path.stem for path in (STUDIES / "plans").glob("*.yaml"))


@pytest.fixture
def report():
    from studies import report

    return report


@pytest.fixture
def figures():
    path = STUDIES / "results" / "figures.json"
    return json.loads(path.read_text("utf-8"))


def test_pages_are_what_make_evidence_writes(report, figures):
    assert sorted(figures) == PLANS
    for page, text in report.pages(figures).items():
        assert page.read_text("utf-8") == text, page


def test_page_of_other_tables_has_the_stored_rows():
    from studies import tables

    page = (tables.TABLES / "README.md").read_text("utf-8")
    assert "| instruments | 10 | 11.0 [7.3, 14.7] | 14.4" in page


def table_lines(text):
    """The cells of each line of the tables of a page."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [line.strip("| ").split(" | ") for line in lines]


def test_tables_of_pull_requests_are_rows_of_the_study(report):
    pages = [path.read_text("utf-8") for path in report.RESULTS.glob("*.md")]
    found = 0
    for path in (report.ROOT / "tools" / "pull_requests").glob("*.md"):
        for label, *cells in table_lines(path.read_text("utf-8")):
            if "by fold" in cells or not re.search(r"\d\.\d, \d", cells[-2]):
                continue
            cells = {cell for cell in cells if cell != "-"}
            rows = [
                {
                    cell
                    for first, *others in table_lines(page)
                    if first.partition(" minus ")[0] == label
                    for cell in others
                }
                for page in pages
            ]
            assert any(cells <= row for row in rows), (path, label)
            found += 1
    assert found


def test_seeds_are_one_arm_or_the_units(tmp_path):
    """Tables NAME_1, NAME_2: means of seeds by fold, or seeds of one fold."""
    from studies.measure import arms_of, contrasts_of, units_of
    from studies.plan import Plan

    text = """
recipe: r
metric: mAP
options: {{lr: 1, mask_budget: 0}}
folds: {folds}
models:
  a: {{yaml: a.yaml, options: {{}}}}
  b: {{yaml: b.yaml, options: {{}}}}
tables:
"""
    table = """
  seed_{0}:
    rows: [{{label: A, model: a, epochs: 1, options: {{seed: {0}}}}},
      {{label: B, model: b, epochs: 1, options: {{seed: {0}}}, against: A}}]
"""
    for folds in (1, 2):
        path = tmp_path / f"of{folds}.yaml"
        tables = "".join(table.format(seed) for seed in (1, 2, 3))
        path.write_text(text.format(folds=folds) + tables, "utf-8")
        plan = Plan(path, tmp_path)
        runs = [run for run in plan.runs() if run.row.options["seed"] < 3]
        # The last arm of seed 2 lacks its last fold
        with open(plan.path, "w", encoding="utf-8") as file:
            for run in runs[:-1]:
                file.write(json.dumps({"run": plan.digest(run)}) + "\n")
        assert list(arms_of(plan)) == ["seed"]
        [(_, label, arms, _)] = contrasts_of(plan, {})
        assert label == "B minus A"
        units = units_of(arms)
        seeds = [
            [run.seed for run in runs_of_a] for runs_of_a, _ in units.values()
        ]
        assert seeds == {1: [[1]], 2: [[1], [1]]}[folds]
        assert list(units) == {1: [1], 2: [1, 2]}[folds]


def test_shown_differences_are_first_minus_second(report, figures):
    """Of the means of both, within what rounding leaves."""
    found = 0
    for entries in report.SHOWN["questions"].values():
        for entry in entries:
            cells = report.result_of(figures, entry, "")
            if not cells:
                continue
            means = re.match(r"([\d.]+) / ([\d.]+) ", cells["in %"])
            first, second = map(float, means.groups())
            shown = float(cells["difference"].partition(" ")[0])
            assert shown == pytest.approx(first - second, abs=0.11)
            found += 1
    assert found > 10


def numbers_of(text):
    """The numbers of a text, as they are written."""
    return re.findall(r"\d+(?:,\d{3})*(?:\.\d+)?", text)


def stored_numbers(value):
    """All numbers of stored results, formatted as pages do."""
    if isinstance(value, (dict, list)):
        parts = value.values() if isinstance(value, dict) else value
        for each in parts:
            yield from stored_numbers(each)
    elif isinstance(value, str):
        yield from numbers_of(value)
    elif isinstance(value, float):
        for scale in (1, 0.01):  # percent, and shares
            for digits in range(4):
                yield f"{abs(scale * value):.{digits}f}"


def test_each_figure_of_readme_has_a_stored_run(report, figures):
    """Of accuracy; the table of results is what `make evidence` writes.

    For those of speed, see tests/unit/benchmarks.
    """
    text = (ROOT / "README.md").read_text("utf-8")
    text = re.sub(report.BLOCK, "", text, flags=re.DOTALL)
    stored = set(stored_numbers(figures))
    for path in (STUDIES / "results" / "tables").glob("*.json"):
        stored |= set(stored_numbers(json.loads(path.read_text("utf-8"))))
    form = r"([\d.]+)(?: to ([\d.]+))?\)? (?:%|points)|mAP ([\d.]+)"
    accuracies = {x for x in sum(re.findall(form, text), ()) if x}
    accuracies -= {"95"}  # % intervals
    assert len(accuracies) > 5
    assert sorted(accuracies - stored) == []


@pytest.mark.slow
def test_figures_are_measured_again(report, figures):
    found = json.loads(json.dumps(report.measure_all()))
    assert report.pages(found) == report.pages(figures)
