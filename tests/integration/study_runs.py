"""Runs a small plan of the study for tests.

Authors
 * The speechbrain_fftp authors 2026
"""

import contextlib
from pathlib import Path

import pytest
import yaml

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@contextlib.contextmanager
def run_study(folder, plan):
    """Runs a plan with one table, ``all``, on the clips of ``folder/data``.

    The last run comes first: those that it needs are run before it. Yields the
    study, and its runs and the rows that they gave by label.
    """
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump(plan), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        from study import run

        plan = run.find_plan(str(path))
        where = (folder / name for name in ("data", "work", "results"))
        study = run.Study(plan, *where)
        runs = {each.name.removeprefix("all: "): each for each in plan.runs()}
        assert all([study.execute(each) for each in [*runs.values()][::-1]])
        rows = {name: study.results.find(each) for name, each in runs.items()}
        yield study, runs, rows
