"""Tests of mAP, AUC and d', and of the table of these scores.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from fftp_tag.score.ranking import ranking_metrics


@pytest.mark.parametrize("digits", [0, 1, 6])
def test_equals_scikit_learn(digits):
    """With few digits, scores tie; classes 2 and 5 cannot be scored."""
    rng = np.random.default_rng(0)
    targets = (rng.random((60, 9)) < 0.3).astype(np.float32)
    targets[:, 2], targets[:, 5] = 0, 1
    scores = (rng.normal(size=(60, 9)) + targets).round(digits)
    found = ranking_metrics(targets, scores.astype(np.float32))
    scored = [0, 1, 3, 4, 6, 7, 8]
    used = targets[:, scored], scores[:, scored].astype(np.float32)
    precisions = average_precision_score(*used, average=None)
    areas = roc_auc_score(*used, average=None)
    assert list(found["per_class"]) == scored
    for row, precision, area in zip(
        found["per_class"].values(), precisions, areas
    ):
        assert row["AP"] == pytest.approx(precision)
        assert row["AUC"] == pytest.approx(area)
    assert found["per_class"][8]["positives"] == targets[:, 8].sum()
    assert found["mAP"] == pytest.approx(precisions.mean())
    assert found["AUC"] == pytest.approx(areas.mean())
    assert found["num_classes_scored"] == 7 and found["num_clips"] == 60
    nothing = ranking_metrics(targets[:, [2, 5]], scores[:, [2, 5]])
    assert nothing["mAP"] is nothing["AUC"] is nothing["d_prime"] is None
    assert nothing["per_class"] == {}
    equal = ranking_metrics(targets[:, :1], 0 * scores[:, :1])
    assert equal["mAP"] == pytest.approx(targets[:, 0].mean())
    assert (equal["AUC"], equal["d_prime"]) == (0.5, 0.0)


def test_d_prime_is_the_distance_of_normal_scores():
    targets = np.arange(200000) % 2
    scores = np.random.default_rng(0).normal(size=200000) + 1.3 * targets
    found = ranking_metrics(targets[:, None], scores[:, None])
    assert found["d_prime"] == pytest.approx(1.3, abs=0.02)
    perfect = ranking_metrics(np.eye(2), np.eye(2))
    assert 7 < perfect["d_prime"] < 8
