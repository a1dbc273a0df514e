"""Tests of the tagging metrics.

Authors
 * The speechbrain_fftp authors 2026
"""

import math

import numpy as np
import pytest

from speechbrain_fftp.utils.metrics import (
    _best_thresholds,
    _d_prime,
    f1_scores,
    tagging_metrics,
)


def random_split(clips=60, classes=13, seed=0):
    """Labels, of which some classes cannot be scored, and scores."""
    rng = np.random.default_rng(seed)
    targets = (rng.random((clips, classes)) < 0.3).astype(np.float32)
    targets[:, 2] = 0.0
    targets[:, 5] = 1.0
    scores = (rng.random((clips, classes)) + 0.4 * targets).astype(np.float32)
    return targets, scores


def test_equals_scikit_learn():
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    targets, scores = random_split()
    scores = scores.round(1)  # with ties
    kept = [c for c in range(13) if c not in (2, 5)]
    metrics = tagging_metrics(targets, scores)
    precision = sklearn_metrics.average_precision_score
    area = sklearn_metrics.roc_auc_score
    selected = targets[:, kept], scores[:, kept]
    assert metrics["mAP"] == pytest.approx(
        precision(*selected, average="macro")
    )
    assert metrics["AUC"] == pytest.approx(area(*selected, average="macro"))
    for c, row in metrics["per_class"].items():
        assert row["AP"] == pytest.approx(
            precision(targets[:, c], scores[:, c])
        )
        assert row["AUC"] == pytest.approx(area(targets[:, c], scores[:, c]))
        assert row["positives"] == targets[:, c].sum()


def test_classes_without_positives_or_negatives_are_left_out():
    metrics = tagging_metrics(*random_split())
    assert sorted(metrics["per_class"]) == [0, 1, 3, 4, *range(6, 13)]
    assert metrics["num_classes_scored"] == 11 and metrics["num_clips"] == 60


def test_by_hand():
    # Ranks of the positives: 1, 3, 4 of 5 in the first class; 5 in the second.
    scores = np.array(
        [[0.9, 0.1], [0.8, 0.5], [0.7, 0.6], [0.6, 0.7], [0, 0.8]]
    )
    targets = np.array([[1, 1], [0, 0], [1, 0], [1, 0], [0, 0]])
    metrics = tagging_metrics(targets, scores)
    first, second = metrics["per_class"][0], metrics["per_class"][1]
    assert first["AP"] == pytest.approx((1 / 1 + 2 / 3 + 3 / 4) / 3)
    assert first["AUC"] == pytest.approx(4 / 6)  # 4 of 6 pairs in order
    assert second["AP"] == pytest.approx(1 / 5) and second["AUC"] == 0
    assert metrics["mAP"] == pytest.approx((first["AP"] + 1 / 5) / 2)
    assert metrics["AUC"] == pytest.approx(1 / 3)
    assert metrics["d_prime"] == pytest.approx(_d_prime(1 / 3))


def test_only_the_ranking_counts():
    targets, scores = random_split()
    expected = tagging_metrics(targets, scores)
    transformed = tagging_metrics(targets, np.exp(3 * scores.astype(float)))
    assert transformed["per_class"] == expected["per_class"]


def test_d_prime():
    # An AUC of Phi(d' / sqrt(2)): two normal classes at a distance of d'.
    for distance in (-1.0, 0.0, 0.5, 2.0, 4.0):
        auc = 0.5 * (1 + math.erf(distance / 2))
        assert _d_prime(auc) == pytest.approx(distance, abs=1e-6)
    assert _d_prime(1.0) == pytest.approx(7.35297, abs=1e-5)
    assert _d_prime(0.0) == pytest.approx(-_d_prime(1.0))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_an_error(bad):
    targets, scores = random_split()
    scores[[3, 7], 1] = bad
    with pytest.raises(ValueError, match="NaN|infinity"):
        tagging_metrics(targets, scores)


def test_other_shapes_and_nothing_to_score_are_errors():
    targets, scores = random_split()
    with pytest.raises(ValueError, match=r"\(60, 13\).*\(60, 12\)"):
        tagging_metrics(targets, scores[:, :12])
    with pytest.raises(ValueError, match="No class"):
        tagging_metrics(targets[:, [2, 5]], scores[:, [2, 5]])
    with pytest.raises(ValueError, match="No class"):
        tagging_metrics(targets[:1], scores[:1])


def f1_by_counting(true, found):
    hits = (true & found).sum()
    return 2 * hits / max(true.sum() + found.sum(), 1)


def best_cut(true, scores):
    """The highest of the scores above 0 with the most F1 as a threshold."""
    cuts = [x for x in np.unique(scores) if x > 0]
    f1 = [f1_by_counting(true, scores >= cut) for cut in cuts]
    most = max(f1)
    return max(cut for cut, x in zip(cuts, f1) if x > most - 1e-9), most


def few_positives(seed, decimals):
    """Classes with 0 to 8 positive clips of 60, and scores in 0..1."""
    rng = np.random.default_rng(seed)
    targets = np.zeros((60, 9), np.float32)
    for number in range(9):
        targets[rng.permutation(60)[:number], number] = 1.0
    scores = 0.6 * rng.random((60, 9)) + 0.3 * targets
    return targets, scores.astype(np.float32).round(decimals)


@pytest.mark.parametrize("decimals", [1, 7])  # with many ties, and without
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("floor", [1, 4, 9])
def test_thresholds_are_the_best_of_all_cuts(seed, decimals, floor):
    targets, scores = few_positives(seed, decimals)
    limits, positives, f1 = _best_thresholds(targets, scores, floor)
    assert positives.tolist() == list(range(9))
    assert limits.shape == (9,) and limits.dtype == np.float32
    true = targets > 0
    pool = np.arange(9) >= (floor if floor < 9 else 0)
    shared, _ = best_cut(true[:, pool].ravel(), scores[:, pool].ravel())
    for number, limit in enumerate(limits):
        column, own = scores[:, number], true[:, number]
        used = scores[:, pool]
        cut = shared
        if number >= floor:
            cut, most = best_cut(own, column)
            used = column
            assert f1[number] == pytest.approx(most)
        found = f1_by_counting(own, column >= limit)
        assert f1[number] == pytest.approx(found)
        # Half way to the next lower score
        lower = max([x for x in used.ravel() if x < cut], default=0)
        assert limit == pytest.approx((cut + lower) / 2, abs=1e-7)
        assert lower < limit < cut
    assert len(set(limits[:floor].tolist())) == 1


def test_thresholds_by_hand():
    def learn(*pairs):
        targets, scores = np.array(pairs).T[:, :, None]
        return _best_thresholds(targets, scores, min_positives=1)[0].item()

    assert learn((1, 0.75), (0, 0.5)) == 0.625
    # Down to 0, where all clips are tagged; but never 0 itself
    assert learn((1, 0.5), (1, 0.5)) == 0.25
    assert 0 < learn((1, 0.0), (1, 0.0), (0, 0.0)) < 1e-30
    assert learn((1, 0.0), (1, 0.0), (1, 0.0), (1, 0.5), (0, 0)) == 0.25
    # F1 of 2/3 at 0.9 and at 0.3: the higher one
    assert learn((1, 0.9), (0, 0.5), (1, 0.3), (0, 0.4)) == pytest.approx(0.7)
    # Nothing lies between neighbours in float32
    low = np.float32(0.3)
    high = np.nextafter(low, np.float32(1))
    assert learn((1, high), (0, low)) == high


def test_missing_classes_change_no_threshold():
    """Classes that the clips lack have neither targets nor scores."""
    targets, scores = few_positives(0, 7)
    more = [np.pad(x, ((0, 0), (0, 3))) for x in (targets, scores)]
    for floor in (1, 4, 9):
        limits, *_ = _best_thresholds(targets, scores, floor)
        padded, *_ = _best_thresholds(*more, floor)
        np.testing.assert_array_equal(padded[:9], limits)
        assert (padded[9:] == limits[0]).all()


@pytest.mark.parametrize("classes", [13, 1])
def test_f1_equals_scikit_learn(classes):
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    targets, scores = (x[:, :classes] for x in random_split())
    kept = [c for c in range(classes) if c not in (2, 5)]
    limits = np.linspace(0.3, 0.9, classes).astype(np.float32)
    for threshold in (0.5, limits):
        f1 = f1_scores(targets, scores, threshold)
        # A column that is always 0, because of how one class is understood
        true, found = (
            np.pad(x, ((0, 0), (0, 1))) for x in (targets, scores >= threshold)
        )
        options = {"zero_division": 0, "labels": [*range(classes)]}
        expected = sklearn_metrics.f1_score(
            true, found, average=None, **options
        )
        assert f1["macro_F1"] == pytest.approx(expected[kept].mean())
        options["average"] = "micro"
        expected = sklearn_metrics.f1_score(true, found, **options)
        assert f1["micro_F1"] == pytest.approx(expected)
        said = "per class" if np.ndim(threshold) else 0.5
        assert f1["threshold"] == said
