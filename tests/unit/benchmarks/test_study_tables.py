"""Tests of the study's tables, and of the pages that show them.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


@pytest.mark.parametrize(
    "name",
    [
        "encoders",
        "reuse",
        pytest.param("audioset_mini", marks=pytest.mark.slow),
        pytest.param("sound_events", marks=pytest.mark.slow),
        pytest.param("speech_commands", marks=pytest.mark.slow),
    ],
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
