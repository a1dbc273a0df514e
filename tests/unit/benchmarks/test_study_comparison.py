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


def test_intervals_cover_the_difference_of_simulated_studies():
    from study.comparison import accuracy, bootstrap, interval, mean

    rng = np.random.default_rng(0)
    covered = []
    for seed in range(300):
        folds = simulate(rng, effect=0.05)
        draws = bootstrap(folds, accuracy, replicates=300, seed=seed) @ (1, -1)
        low, high = interval(100 * draws)
        assert low < mean(folds, accuracy) @ (1, -1) < high
        covered.append(low <= 5 <= high)
    assert 0.9 <= np.mean(covered) <= 0.99


def test_verdicts_are_holms():
    from study.comparison import Difference, verdicts

    def difference(p, value=2.0, half=3.0):
        return Difference(value, value - half, value + half, p)

    declared = [
        difference(0.03),
        difference(0.001),
        difference(0.02, -2.0),
        difference(0.011, -2.0),
        difference(0.6, 0.1, 0.8),
        difference(0.5, 0.1, 0.95),
    ]
    # Times 6 for the smallest, then 5, 4 and so on; never below the last one
    expected = [
        (0.09, "unresolved"),
        (0.006, "higher"),
        (0.08, "unresolved"),
        (0.055, "unresolved"),
        (1.0, "equal within 1"),
        (1.0, "unresolved"),
    ]
    found = verdicts(declared, 1.0)
    assert [word for _, word in found] == [word for _, word in expected]
    assert [p for p, _ in found] == pytest.approx([p for p, _ in expected])
    assert verdicts(declared[3:4], 1.0) == [(0.011, "lower")]
