"""Tests of the study's figures, and of the pages that `make evidence` writes.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy import stats

STUDIES = Path(__file__).resolve().parents[3] / "studies"
PLANS = sorted(path.stem for path in (STUDIES / "plans").glob("*.yaml"))
LATER = yaml.safe_load((STUDIES / "contrasts.yaml").read_text("utf-8"))["later"]


@pytest.fixture
def report():
    from studies import report

    return report


@pytest.fixture
def figures():
    path = STUDIES / "results" / "figures.json"
    return json.loads(path.read_text("utf-8"))


def test_pages_are_what_make_evidence_writes(report, figures):
    assert sorted([*figures, *LATER]) == PLANS
    for page, text in report.pages(figures).items():
        assert page.read_text("utf-8") == text, page


def test_page_of_other_tables_has_the_stored_rows():
    from studies import tables

    page = (tables.TABLES / "README.md").read_text("utf-8")
    assert page == tables.page()
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
    if measured is None and name not in LATER:
        assert {row["fold"] for row in stored.values()} <= {"search"}
    if not stored or (measured is None and name not in LATER):
        pytest.skip("not yet run")
    if measured is not None:
        assert measured["runs"] + measured["gpu_runs"] == len(stored)
    assert not any(row["changed"] for row in stored.values())
    with np.load(plan.predictions) as arrays:
        assert {key.split("/")[0] for key in arrays} == set(stored)
        for run, row in stored.items():
            probs, targets = arrays[f"{run}/probs"], arrays[f"{run}/targets"]
            value = value_of(plan.metric, probs, targets)
            assert row["value"] == pytest.approx(value, abs=1e-6)


def test_intervals_are_those_of_scipy(report, figures):
    """Differences by fold, and t tests, from the stored values of runs."""
    from studies.comparison import t_test
    from studies.measure import contrasts_of, finished

    plans = {name: report.Plan(name) for name in PLANS}
    found = 0
    for name, plan in plans.items():
        if figures.get(name) is None:
            continue
        for table, label, arms, signs in contrasts_of(plan, plans):
            shown = figures[name]["contrasts"][table][label]
            if "value" not in shown:
                assert "not yet run" in shown["finding"]
                continue
            stored = [finished(*arm) for arm in arms]
            folds = sorted(set.intersection(*map(set, stored)))
            by_fold = [
                100
                * sum(s * runs[fold]["value"] for s, runs in zip(signs, stored))
                for fold in folds
            ]
            assert shown["by_fold"] == pytest.approx(by_fold, abs=1e-4)
            mean, error = np.mean(by_fold), stats.sem(by_fold)
            low, high = stats.t.interval(0.95, len(by_fold) - 1, mean, error)
            overlap = figures[name]["overlap"]
            error *= np.sqrt(1 + len(by_fold) * overlap)
            wide = stats.t.interval(0.95, len(by_fold) - 1, mean, error)
            p = stats.ttest_1samp(by_fold, 0).pvalue
            assert t_test(by_fold) == pytest.approx((mean, low, high, p))
            assert t_test(by_fold, overlap)[1:3] == pytest.approx(wide)
            expected = [mean, low, high, *wide]
            keys = ("value", "low", "high", "wide_low", "wide_high")
            values = [shown[key] for key in keys]
            assert values == pytest.approx(expected, abs=1e-4)
            if shown["finding"] in ("higher", "lower"):
                assert max(shown[x] for x in ("p", "wide_p", "drawn_p")) < 0.05
                assert np.sign(shown["wide_low"]) == np.sign(shown["wide_high"])
            found += 1
    assert found > 50


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


def test_undeclared_contrasts_and_failed_trainings_are_no_findings(
    report, monkeypatch
):
    """An undeclared contrast is judged in the wider family."""
    from studies import measure

    def measured(_, arms, signs):
        p, failed = signs
        ends = (1.0, 3.0, p)
        difference = measure.Difference(2.0, *ends, *ends, *ends)
        return {"difference": difference, "failed": failed, "trainings": 4}

    contrasts = [
        ("table", "a", None, (0.001, 1)),
        ("table", "b", None, (0.02, 0)),
        ("across", "c", None, (0.018, 0)),
    ]
    monkeypatch.setattr(measure, "contrasts_of", lambda *_: contrasts)
    monkeypatch.setattr(measure, "measure_contrast", measured)
    found = measure.measure_contrasts(report.Plan("patch_height"), {})
    failed, declared = found["table"].values()
    assert failed["finding"] == "open: 1 of 4 trainings failed"
    assert (declared["p"], declared["finding"]) == (0.02, "higher")
    assert found["across"]["c"]["p"] == pytest.approx(0.036)
    shown = report.finding_of(found["across"]["c"])
    assert shown == "higher, not declared"


def test_points_of_the_picture_are_stored_runs(report, figures):
    """Means and intervals of folds 1 to 3, by scipy."""
    from studies.plan import Run

    found = 0
    for _, points in report.panels_of(figures).values():
        for point in points:
            name, table, label = point["run"]
            plan = report.Plan(name)
            row = plan.tables()[table][label]
            stored = [plan.find(Run(row, fold)) for fold in (1, 2, 3)]
            values = [100 * run["value"] for run in stored]
            mean, error = np.mean(values), stats.sem(values)
            ends = stats.t.interval(0.95, 2, mean, error)
            shown = [point[name] for name in ("value", "low", "high")]
            assert shown == pytest.approx([mean, *ends])
            assert point["macs"] == stored[0]["macs"] / 1e6
            assert point["epochs"] == stored[0]["epochs"]
            found += 1
    assert found > 20


def test_contrasts_of_questions_are_first_minus_second(report, figures):
    """Against the means of both rows, over the folds that both have."""
    found = 0
    for entries in report.SHOWN["questions"].values():
        for entry in entries:
            cells = report.question_cells(figures, entry)
            places = entry.get("range", [entry.get("of")])
            values = []
            for place in places:
                arms = report.arms_of(*place)[:: -1 if "turned" in entry else 1]
                rows = [
                    figures[p] and figures[p]["rows"][t][x] for p, t, x in arms
                ]
                if all(rows) and "here minus there" not in place[2]:
                    one, two = (row["by_fold"] for row in rows)
                    folds = one.keys() & two.keys()
                    values.append(np.mean([one[x] - two[x] for x in folds]))
            shown = cells[3].partition(" [")[0].split(" to ")
            if values:
                expected = sorted({min(values), max(values)})
                assert [float(x) for x in shown] == pytest.approx(
                    expected, abs=0.051
                )
                if cells[5].startswith("higher"):
                    assert values[0] > 0
                found += 1
    assert found > 30


@pytest.mark.slow
def test_figures_are_measured_again(report, figures):
    found = json.loads(json.dumps(report.measure_all()))
    assert report.pages(found) == report.pages(figures)
