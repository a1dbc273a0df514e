"""Tests of the study's figures, and of the pages that `make evidence` writes.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

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
    plan, measured = report.Plan(name), figures.get(name)
    stored = plan.rows()
    if measured is None:
        assert {row["fold"] for row in stored.values()} <= {"search"}
    else:
        assert measured["runs"] + measured["gpu_runs"] == len(stored)
    if not stored:
        pytest.skip("not yet run")
    assert not any(row["changed"] for row in stored.values())
    with np.load(plan.predictions) as arrays:
        assert {key.split("/")[0] for key in arrays} == set(stored)
        for run, row in stored.items():
            probs, targets = arrays[f"{run}/probs"], arrays[f"{run}/targets"]
            value = value_of(plan.metric, probs, targets)
            assert row["value"] == pytest.approx(value, abs=1e-6)


def test_differences_are_those_of_stored_runs(report, figures):
    """And their intervals no narrower than scipy's t intervals."""
    from studies.measure import contrasts_of, units_of

    plans = {name: report.Plan(name) for name in PLANS}
    found = 0
    for name, plan in plans.items():
        if figures[name] is None:
            continue
        for table, label, arms, signs in contrasts_of(plan, plans):
            shown = figures[name]["contrasts"].get(table, {}).get(label)
            if not shown:
                continue
            by_fold = []
            for by_arm in units_of(arms).values():
                means = [
                    np.mean([arm.plan.find(run)["value"] for run in runs])
                    for arm, runs in zip(arms, by_arm)
                ]
                by_fold.append(100 * np.dot(signs, means))
            assert shown["by_fold"] == pytest.approx(by_fold, abs=1e-4)
            assert shown["value"] == pytest.approx(np.mean(by_fold), abs=1e-4)
            assert shown["ahead"] == sum(value > 0 for value in by_fold)
            count = len(by_fold)
            error = stats.sem(by_fold)
            error *= np.sqrt(1 + count * figures[name]["overlap"])
            half = error * stats.t.ppf(0.975, count - 1)
            assert shown["high"] - shown["low"] >= 2 * half - 1e-4
            assert shown["low"] < shown["value"] < shown["high"]
            found += 1
    assert found > 40


def test_overlap_is_that_of_the_clips_of_runs(report, figures):
    """Sources in test to sources in training, as the folds deal them."""
    from studies.sources import PATH, read_sources

    runs = report.Plan("patch_height").rows().values()
    words = [x["clips"] for x in runs if x["fold"] != "search"]
    arrays, _ = read_sources(PATH)
    sounds = [arrays[f"{fold}/sounds"] for fold in range(1, 7)]
    for name, ratios in (
        ("patch_height", [x["test"] / x["train"] for x in words]),
        ("aum_gain", [test / train for train, test in sounds]),
        ("sound_events", [0.0]),
    ):
        expected = pytest.approx(np.mean(ratios), abs=0.005)
        assert figures[name]["overlap"] == expected


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


def test_points_of_the_picture_are_stored_runs(report, figures):
    """Means over the folds that all points of a panel have."""
    from studies.plan import Run

    found = 0
    for _, points in report.panels_of(figures).values():
        rows = []
        for point in points:
            name, table, label = point["run"]
            plan = report.Plan(name)
            tables = plan.tables()
            row = tables.get(table, tables.get(f"{table}_1"))[label]
            rows.append({x: plan.find(Run(row, x)) for x in row.folds})
        folds = set.intersection(*({x for x in y if y[x]} for y in rows))
        for point, row in zip(points, rows):
            if not point["run"][1].startswith("seed"):
                values = [100 * row[fold]["value"] for fold in folds]
                assert point["value"] == pytest.approx(np.mean(values))
            assert point["macs"] == row[min(folds)]["macs"] / 1e6
            found += 1
        assert len(points) <= 8
    assert found > 10


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


def test_evidence_is_short(report, figures):
    text = report.pages(figures)[report.EVIDENCE]
    rows = [line for line in table_lines(text) if "---" not in line[0]]
    assert len(rows) - 1 <= 20
    shown = sum(map(len, report.SHOWN["questions"].values()))
    assert shown <= 20  # once all have runs


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
