"""Tests of the study's statistics against scikit-learn and simulated studies.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest


def test_mean_precision_is_that_of_sklearn():
    from studies.comparison import Scores, mean_precision

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
    from studies.comparison import Scores

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
    from studies.comparison import accuracy, bootstrap, t_test, values

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
    """Soundscapes of all folds are called eval0000000 and so on.

    The sources that they are mixed from keep their names: two partitions share
    them.
    """
    from studies.comparison import Scores
    from studies.plan import Plan, Run

    plan = Plan("long_clips", tmp_path)
    row = plan.tables()["convergence"]["FFTP 10/10, 10 epochs"]
    ids = np.array([f"eval{i:07}" for i in range(400)])
    rng = np.random.default_rng(0)
    for fold in (1, 2, 3):
        targets = rng.uniform(size=(400, 20)) < 0.5
        scores = Scores(ids, ids, targets, rng.uniform(size=(400, 20)))
        plan.add(Run(row, fold), {}, scores)
    found = [plan.scores(Run(row, fold)) for fold in (1, 2, 3)]
    names = {*found[0].groups.tolist()}
    assert not names & {*found[1].groups.tolist(), *found[1].ids.tolist()}
    assert len({scores.sources.names for scores in found}) == 1
    # The same clips for several seeds keep their names
    plan.is_given = True
    assert plan.scores(Run(row, 1)).ids.tolist() == ids.tolist()


def test_a_corrected_interval_is_that_of_a_wider_standard_error():
    from scipy import stats

    from studies.comparison import accuracy, compare, values

    ratio = 0.6  # n_test / n_train
    folds = simulate(np.random.default_rng(1), effect=0.05, folds=6)
    by_fold = values(folds, accuracy) @ (1, -1)
    mean, error = by_fold.mean(), stats.sem(by_fold) * np.sqrt(1 + 6 * ratio)
    found = compare(folds, accuracy, overlap=ratio)
    low, high = stats.t.interval(0.95, 5, mean, error)
    assert (found.wide_low, found.wide_high) == pytest.approx((low, high))
    expected = 2 * stats.t.sf(mean / error, 5)
    assert found.wide_p == pytest.approx(expected)
    assert found.wide_low < found.low < found.high < found.wide_high
    # The usual test is the one without overlap
    plain = compare(folds, accuracy)
    usual = (plain.low, plain.high, plain.p)
    assert usual == (plain.wide_low, plain.wide_high, plain.wide_p)
    assert usual == (found.low, found.high, found.p)


def mixed_folds(rng, sounds, clips=60, classes=3, sources=12):
    """Two folds of clips with this many sounds, and two runs that score them."""
    from scipy import sparse

    from studies.comparison import Scores, Sources

    names, folds = tuple(f"source {i}" for i in range(sources)), []
    for _ in range(2):
        used = [
            [
                (rng.integers(classes), rng.integers(sources))
                for _ in range(sounds)
            ]
            for _ in range(clips)
        ]
        targets = np.zeros((clips, classes), bool)
        dense = np.zeros((classes, clips, sources))
        for clip, pairs in enumerate(used):
            for label, _ in pairs:
                targets[clip, label] = True
            for index in range(classes):
                own = [s for label, s in pairs if label == index]
                for source in own or [s for _, s in pairs]:
                    dense[index, clip, source] += 1
        dense /= dense.sum(2, keepdims=True)
        shares = [sparse.csr_matrix(part.astype(np.float32)) for part in dense]
        ids = np.arange(clips)
        folds.append(
            [
                Scores(
                    ids,
                    ids,
                    targets,
                    gain * targets + rng.uniform(size=targets.shape),
                    Sources(names, shares),
                )
                for gain in (0.5, 0.2)
            ]
        )
    return folds


def test_drawn_sources_weigh_their_clips():
    from studies.comparison import (
        bootstrap,
        bootstrap_sources,
        draw_sources,
        mean_precision,
    )

    folds = mixed_folds(np.random.default_rng(0), sounds=3)
    found = bootstrap(folds, mean_precision, replicates=20)
    same = bootstrap_sources(folds, mean_precision, replicates=20)
    np.testing.assert_array_equal(found, same)
    names = folds[0][0].sources.names
    drawn, counts = draw_sources(names, 2, replicates=20)
    assert (counts.sum(1) == len(names)).all()
    for replicate, run in ((0, 0), (7, 1)):
        values = []
        for fold in drawn[replicate]:
            scores = folds[fold][run]
            each = []
            for index in range(3):
                weights = scores.sources.shares[index] @ counts[replicate]
                one = scores._replace(
                    targets=scores.targets[:, [index]],
                    probs=scores.probs[:, [index]],
                )
                each.append(mean_precision(one, weights[None])[0])
            values.append(np.nanmean(each))
        assert found[replicate, run] == pytest.approx(np.mean(values), rel=1e-4)


def test_verdicts_are_holms_and_need_both_tests():
    from studies.comparison import Difference, verdicts

    def difference(p, drawn_p, value=2.0, half=3.0):
        ends = (value - half, value + half)
        return Difference(value, *ends, p, *ends, p, *ends, drawn_p)

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
    assert [row[3] for row in found] == [row[2] for row in expected]
    for row, (p, drawn_p, _) in zip(found, expected):
        assert row[:3] == pytest.approx((p, p, drawn_p))
    alone = verdicts([difference(0.2, 0.001)], 1.0)
    assert alone == [(0.2, 0.2, 0.001, "open")]
    # And the wider interval, corrected for what folds share
    found = difference(0.001, 0.001, half=1.0)
    for wide, word in ((0.04, "higher"), (0.06, "open")):
        assert verdicts([found._replace(wide_p=wide)], 1.0)[0][3] == word
    small = difference(0.6, 0.7, 0.0, 0.5)
    for half, word in ((0.9, "equal within 1"), (1.1, "open")):
        wide = small._replace(wide_low=-half, wide_high=half)
        assert verdicts([wide], 1.0)[0][3] == word
