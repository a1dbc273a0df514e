"""Tests of mAP, AUC and d'.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest


def random_split(digits):
    """Labels and scores of 60 clips; classes 2 and 5 cannot be scored.

    With few digits, scores tie; with one, most do.
    """
    rng = np.random.default_rng(0)
    targets = (rng.random((60, 9)) < 0.3).astype(np.float32)
    targets[:, 2], targets[:, 5] = 0, 1
    scores = rng.normal(size=(60, 9)) + targets
    return targets, scores.round(digits).astype(np.float32)


@pytest.mark.parametrize("digits", [0, 1, 6])
def test_equals_scikit_learn(digits):
    from fftp_tag.score.ranking import ranking_metrics

    metrics = pytest.importorskip("sklearn.metrics")
    targets, scores = random_split(digits)
    scored = [c for c in range(9) if c not in (2, 5)]
    used = targets[:, scored], scores[:, scored]
    precisions = metrics.average_precision_score(*used, average=None)
    areas = metrics.roc_auc_score(*used, average=None)
    found = ranking_metrics(targets, scores)
    rows = found["per_class"]
    assert list(rows) == scored
    assert [rows[c]["AP"] for c in scored] == pytest.approx(list(precisions))
    assert [rows[c]["AUC"] for c in scored] == pytest.approx(list(areas))
    assert [rows[c]["positives"] for c in scored] == list(used[0].sum(0))
    assert found["mAP"] == pytest.approx(precisions.mean())
    assert found["AUC"] == pytest.approx(areas.mean())
    assert found["num_classes_scored"] == 7 and found["num_clips"] == 60


def test_scores_that_say_nothing():
    """All scores are equal; then, no class can be scored."""
    from fftp_tag.score.ranking import ranking_metrics

    targets, scores = random_split(1)
    found = ranking_metrics(targets[:, :1], 0 * scores[:, :1])
    assert found["mAP"] == pytest.approx(targets[:, 0].mean())
    assert (found["AUC"], found["d_prime"]) == (0.5, 0.0)
    found = ranking_metrics(targets[:, [2, 5]], scores[:, [2, 5]])
    assert found["mAP"] is found["AUC"] is found["d_prime"] is None
    assert found["per_class"] == {}


def test_d_prime_is_the_distance_of_normal_scores():
    from fftp_tag.score.ranking import ranking_metrics

    rng = np.random.default_rng(0)
    targets = np.arange(200000) % 2
    scores = rng.normal(size=200000) + 1.3 * targets
    found = ranking_metrics(targets[:, None], scores[:, None])
    assert found["d_prime"] == pytest.approx(1.3, abs=0.02)
    perfect = ranking_metrics(np.eye(2), np.eye(2))
    assert 7 < perfect["d_prime"] < 8
