"""Tests of the study's statistics against scikit-learn and simulated studies.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest


def test_mean_precision_is_that_of_sklearn():
    from study.comparison import Scores, mean_precision

    metrics = pytest.importorskip("sklearn.metrics")
    for seed in range(5):
        rng = np.random.default_rng(seed)
        targets = rng.uniform(size=(60, 5)) < 0.3
        targets[:, -1] = False  # a class that cannot be scored
        probs = 0.3 * targets + rng.uniform(size=(60, 5))
        if seed > 2:  # many clips of the same probability
            probs = probs.round(1)
        weights = rng.integers(0, 4, (6, 60))
        weights[0] = 1
        scores = Scores(np.arange(60), np.arange(60), targets, probs)
        found = mean_precision(scores, weights.astype(np.float32))
        expected = [
            metrics.average_precision_score(
                np.repeat(targets[:, :4], weight, 0),
                np.repeat(probs[:, :4], weight, 0),
            )
            for weight in weights
        ]
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def simulate(rng, effect, folds=5, of_fold=0.03, of_group=0.12):
    """Two models' scores: a share of clips that is right, by fold and group.

    Both models share what groups and folds have in common; the effects are on
    their difference.
    """
    from study.comparison import Scores

    found = []
    groups = np.repeat(np.arange(20), 8)
    ids, targets = np.arange(160), np.tile([True, False], (160, 1))
    for _ in range(folds):
        base = rng.uniform(0.4, 0.7, 20)
        shift = effect + of_fold * rng.standard_normal()
        shift = shift + of_group * rng.standard_normal(20)
        draw = rng.uniform(size=160)
        runs = []
        for rate in (base + shift / 2, base - shift / 2):
            hits = draw < rate[groups]
            probs = np.stack([hits, ~hits], 1)
            runs.append(Scores(ids, groups, targets, probs))
        found.append(runs)
    return found


@pytest.mark.parametrize("method", ["t", "bootstrap"])
def test_intervals_cover_the_difference_of_simulated_studies(method):
    from study.comparison import accuracy, bootstrap, t_test, values

    rng = np.random.default_rng(0)
    covered = []
    for seed in range(300):
        folds = simulate(rng, effect=0.05)
        by_fold = values(folds, accuracy) @ (1, -1)
        if method == "t":
            _, low, high, _ = t_test(by_fold)
        else:
            draws = bootstrap(folds, accuracy, replicates=300, seed=seed)
            low, high = np.quantile(100 * draws @ (1, -1), (0.025, 0.975))
        assert low < by_fold.mean() < high
        covered.append(low <= 5 <= high)
    assert 0.9 <= np.mean(covered) <= 0.99


def test_clips_of_folds_with_the_same_names_are_drawn_apart(tmp_path):
    """Soundscapes of all folds are called eval0000000 and so on."""
    from study.comparison import Scores
    from study.plan import Plan, Run

    plan = Plan("long_clips", tmp_path)
    row = plan.tables()["convergence"]["FFTP 10/10, 10 epochs"]
    ids = np.array([f"eval{i:07}" for i in range(50)])
    rng = np.random.default_rng(0)
    for fold in (1, 2, 3):
        targets = rng.uniform(size=(50, 2)) < 0.5
        scores = Scores(ids, ids, targets, rng.uniform(size=(50, 2)))
        plan.add(Run(row, fold), {}, scores)
    found = [plan.scores(Run(row, fold)) for fold in (1, 2, 3)]
    names = {*found[0].groups.tolist()}
    assert not names & {*found[1].groups.tolist(), *found[1].ids.tolist()}
    # The same clips for several seeds keep their names
    plan.facts["splits"] = "given"
    assert plan.scores(Run(row, 1)).ids.tolist() == ids.tolist()


def test_a_t_test_of_folds_is_that_of_scipy():
    from scipy import stats
    from study.comparison import accuracy, compare, values

    folds = simulate(np.random.default_rng(1), effect=0.05)
    first, second = values(folds, accuracy).T
    test = stats.ttest_rel(first, second)
    found = compare(folds, accuracy)
    assert found.p == pytest.approx(test.pvalue)
    expected = test.confidence_interval()
    assert (found.low, found.high) == pytest.approx(tuple(expected))


def test_verdicts_are_holms_and_need_both_tests():
    from study.comparison import Difference, verdicts

    def difference(p, drawn_p, value=2.0, half=3.0):
        ends = (value - half, value + half)
        return Difference(value, *ends, p, *ends, drawn_p)

    declared = [
        difference(0.001, 0.001),
        difference(0.011, 0.001, -2.0),
        difference(0.001, 0.011, -2.0),
        difference(0.002, 0.002, -2.0),
        difference(0.6, 0.5, 0.1, 0.8),
        difference(0.5, 0.6, 0.1, 0.95),
    ]
    # Times 6 for the smallest, then 5, 4 and so on; never below the last one
    expected = [
        (0.006, 0.006, "higher"),
        (0.033, 0.006, "lower"),
        (0.006, 0.033, "lower"),
        (0.008, 0.008, "lower"),
        (1.0, 1.0, "equal within 1"),
        (1.0, 1.0, "open"),
    ]
    found = verdicts(declared, 1.0)
    assert [row[2] for row in found] == [row[2] for row in expected]
    for row, (p, drawn_p, _) in zip(found, expected):
        assert row[:2] == pytest.approx((p, drawn_p))
    alone = verdicts([difference(0.2, 0.001)], 1.0)
    assert alone == [(0.2, 0.001, "open")]
