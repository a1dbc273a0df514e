"""Tests of the choice of options.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np


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
