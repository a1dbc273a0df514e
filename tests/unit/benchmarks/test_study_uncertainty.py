"""Tests of the study's statistics against formulas and simulated studies.

Authors
 * The speechbrain_fftp authors 2026
"""

from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)


def make_scores(hits, groups):
    """``Scores`` of two classes that are right where ``hits`` says so."""
    from study.comparison import Scores

    hits = np.asarray(hits, bool)
    targets = np.tile([True, False], (len(hits), 1))
    probs = np.where(hits, 0.8, 0.2)
    return Scores(
        np.arange(len(hits)).astype(str),
        np.asarray(groups),
        targets,
        np.stack([probs, 1 - probs], 1),
    )


def make_tags(rng, clips=60, classes=5):
    """``Scores`` of clips with several labels; no clip has the last one."""
    from study.comparison import Scores

    targets = rng.uniform(size=(clips, classes)) < 0.3
    targets[:, -1] = False
    probs = 0.3 * targets + rng.uniform(size=(clips, classes))
    return Scores(np.arange(clips), np.arange(clips), targets, probs)


def sklearn_precision(targets, probs):
    metrics = pytest.importorskip("sklearn.metrics")
    scored = targets.any(0) & ~targets.all(0)
    return metrics.average_precision_score(
        targets[:, scored], probs[:, scored], average="macro"
    )


def test_mean_precision_is_that_of_sklearn():
    from study.comparison import mean_precision

    for seed in range(5):
        rng = np.random.default_rng(seed)
        scores = make_tags(rng)
        if seed > 2:  # many clips of the same probability
            scores = scores._replace(probs=scores.probs.round(1))
        weights = rng.integers(0, 4, (6, 60))
        weights[0] = 1
        found = mean_precision(scores, weights.astype(np.float32))
        expected = [
            sklearn_precision(
                np.repeat(scores.targets, weight, 0),
                np.repeat(scores.probs, weight, 0),
            )
            for weight in weights
        ]
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_standard_error_is_that_of_a_ratio_of_sums():
    from study.comparison import accuracy, bootstrap

    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 20, 80)
    rates = np.repeat(rng.beta(3, 0.5, 80), sizes)
    groups = np.repeat(np.arange(80), sizes)
    hits = rng.uniform(size=len(rates)) < rates
    found = bootstrap([[make_scores(hits, groups)]], accuracy).std()
    residuals = np.bincount(groups, hits - hits.mean())
    expected = (residuals**2).sum() ** 0.5 / sizes.sum()
    assert found == pytest.approx(expected, rel=0.06)
    alone = (hits.mean() * (1 - hits.mean()) / len(hits)) ** 0.5
    assert found > 1.3 * alone  # of independent clips


def simulate(rng, effect=0.0, folds=5, of_fold=0.03, of_group=0.12):
    """Two models' scores: a share of clips that is right, by fold and group.

    Both models share what groups and folds have in common; the effects are on
    their difference.
    """
    found = []
    for _ in range(folds):
        groups = np.repeat(np.arange(20), 8)
        base = rng.uniform(0.4, 0.7, 20)
        shift = effect + of_fold * rng.standard_normal()
        shift = shift + of_group * rng.standard_normal(20)
        draw = rng.uniform(size=len(groups))
        rates = (base + shift / 2)[groups], (base - shift / 2)[groups]
        found.append([make_scores(draw < rate, groups) for rate in rates])
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
    from study.comparison import Difference
    from study.uncertainty import verdicts

    def difference(p, value=2.0, half=3.0):
        return Difference(value, value - half, value + half, p)

    assert verdicts([], 1.0) == []
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
    for (p, word), (expected_p, expected_word) in zip(found, expected):
        assert p == pytest.approx(expected_p) and word == expected_word
    assert verdicts(declared[3:4], 1.0) == [(0.011, "lower")]
    assert verdicts(declared[4:5], 1.5)[0][1] == "equal within 1.5"
