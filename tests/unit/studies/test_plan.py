"""Tests of the choice of options, for some tables of a plan at a time.

Authors
 * The speechbrain_fftp authors 2026
"""

import json

import numpy as np
import pytest

PLAN = """
recipe: recipes/AudioSet/train.py
metric: mAP
splits: mixed
folds: 2
options: {}
extend: 3
trials: [{lr: 0.001}, {lr: 0.003}, {lr: 0.01}]
models:
  a: {yaml: a.yaml, epochs: 1, options: {}}
  b: {yaml: b.yaml, epochs: 1, options: {}}
tables:
  first:
    rows: [{label: A, model: a, epochs: 2}]
  both:
    rows: [{label: A, model: a, epochs: 2}, {label: B, model: b, epochs: 2}]
"""


@pytest.fixture
def plan(tmp_path):
    """A plan of two models, whose second table has both."""
    from studies.plan import Plan

    path = tmp_path / "two.yaml"
    path.write_text(PLAN, "utf-8")
    return Plan(path, tmp_path)


def test_a_table_runs_once_its_own_models_are_chosen(plan):
    """What is chosen later changes no run of the first table."""
    from studies.run import choose

    def store_trials(model, values):
        """Stores a value for each trial of a model."""
        with open(plan.path, "a", encoding="utf-8") as file:
            for run, value in zip(plan.search_runs()[model], values):
                row = {"run": plan.digest(run), "value": value}
                file.write(json.dumps(row) + "\n")

    store_trials("a", (0.1, 0.3, 0.2))
    choose(plan, ["first"])
    (first,) = plan.runs(["first"], [1])
    assert first.row.is_chosen and first.row.options["lr"] == 0.003
    runs = plan.runs(["both"], [1])
    assert [run.row.is_chosen for run in runs] == [True, False]
    with pytest.raises(SystemExit, match="trials of b are not run"):
        choose(plan)
    store_trials("b", (0.1, 0.2, 0.1))
    choose(plan, ["both"])
    assert plan.chosen == {"a": {"lr": 0.003}, "b": {"lr": 0.003}}
    assert plan.digest(plan.runs(["first"], [1])[0]) == plan.digest(first)


def test_trials_go_on_beyond_the_edge(monkeypatch):
    from studies.plan import Plan

    plan = Plan("base", smoke=True)

    def best_at(best):
        """The rates that are tried where the best one is known."""
        distance = {}

        def find(run):
            rate = run.row.options["lr"]
            distance[rate] = abs(np.log(rate / best))
            return {"value": -distance[rate]}

        monkeypatch.setattr(plan, "find", find)
        return [trial["lr"] for trial in plan.trials_of("fftp")]

    usual = [5e-5, 1.5e-4, 4.5e-4]
    assert best_at(1.5e-4) == usual
    assert best_at(4.5e-4) == [*usual, 1.35e-3]
    assert best_at(5e-5) == [1.67e-5, *usual]
    assert best_at(1.0) == [*usual, 1.35e-3, 4.05e-3]  # five at most
    monkeypatch.setattr(plan, "find", lambda run: None)
    assert [trial["lr"] for trial in plan.trials_of("square")] == usual
