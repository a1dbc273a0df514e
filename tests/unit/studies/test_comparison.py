"""Tests of the study's statistics against scikit-learn and simulated studies.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
from scipy import stats


def score_clips(targets, probs, groups=None, kinds="words"):
    """Scores of clips, each a group unless they are given."""
    from studies.comparison import Scores

    ids, classes = (np.arange(count) for count in targets.shape)
    groups = ids if groups is None else groups
    kinds = np.broadcast_to(kinds, classes.shape)
    return Scores(ids, groups, targets, probs, classes, kinds)


@pytest.mark.parametrize("metric", ["mAP", "accuracy"])
@pytest.mark.parametrize("decimals", [1, 7])  # with many ties, and without
def test_what_is_stored_has_the_metric_of_the_probabilities(metric, decimals):
    """Exactly, for any weights of the clips and any classes."""
    from studies.comparison import METRICS, NEEDED

    rng = np.random.default_rng(0)
    targets = rng.uniform(size=(300, 12)) < 0.1
    if metric == "accuracy":
        targets = np.eye(12, dtype=bool)[rng.integers(0, 12, 300)]
    probs = 0.3 * targets + 0.7 * rng.uniform(size=(300, 12))
    kinds = ["words"] * 5 + ["everyday sounds"] * 7
    scores = score_clips(
        targets, probs.astype(np.float32).round(decimals), kinds=np.array(kinds)
    )
    stored = scores._replace(probs=NEEDED[metric](scores))
    assert stored.probs.dtype == np.uint8
    weights = rng.integers(0, 4, (20, 300)).astype(np.float32)
    for kind, expected in scores.by_kind().items():
        found = METRICS[metric](stored.by_kind()[kind], weights)
        np.testing.assert_array_equal(found, METRICS[metric](expected, weights))


def test_mean_precision_is_that_of_sklearn():
    from studies.comparison import mean_precision

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
        scores = score_clips(targets, probs)
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
    found = []
    groups = np.repeat(np.arange(20), 8)
    targets = np.tile([True, False], (160, 1))
    for _ in range(folds):
        base = rng.uniform(0.4, 0.7, 20)
        shift = effect + of_fold * rng.standard_normal()
        shift = shift + of_group * rng.standard_normal(20)
        draw = rng.uniform(size=160)
        runs = []
        for rate in (base + shift / 2, base - shift / 2):
            hits = draw < rate[groups]
            probs = np.stack([hits, ~hits], 1)
            runs.append(score_clips(targets, probs, groups))
        found.append(runs)
    return found


@pytest.mark.parametrize("method", ["t", "bootstrap"])
def test_intervals_cover_the_difference_of_simulated_studies(method):
    from studies.comparison import accuracy, bootstrap, t_interval, values

    rng = np.random.default_rng(0)
    covered = []
    for seed in range(300):
        folds = simulate(rng, effect=0.05)
        by_fold = values(folds, accuracy) @ (1, -1)
        if method == "t":
            low, high, _ = t_interval(by_fold)
        else:
            draws = bootstrap(folds, accuracy, replicates=300, seed=seed)
            low, high = np.quantile(100 * draws @ (1, -1), (0.025, 0.975))
        assert low < by_fold.mean() < high
        covered.append(low <= 5 <= high)
    assert 0.9 <= np.mean(covered) <= 0.99


def test_the_wider_interval_is_shown():
    """Of the bootstrap's and scipy's t interval, corrected for overlap."""
    from studies.comparison import accuracy, bootstrap, compare, drawn_interval

    folds = simulate(np.random.default_rng(1), effect=0.05)
    drawn = drawn_interval(100 * bootstrap(folds, accuracy) @ (1, -1))
    for overlap in (0.0, 3.0):
        by_fold, interval = compare(folds, accuracy, overlap=overlap)
        error = stats.sem(by_fold) * np.sqrt(1 + len(by_fold) * overlap)
        width = 2 * error * stats.t.ppf(0.975, len(by_fold) - 1)
        expected = max(width, drawn.high - drawn.low)
        assert interval.high - interval.low == pytest.approx(expected)
