"""Tests of scores of tags, against scikit-learn.

Authors
 * The speechbrain_fftp authors 2026
"""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from fftp_tag.score.tags import f1_scores, tagging_table


@pytest.fixture
def arrays():
    """Targets and probabilities; classes 3 and 4 say nothing."""
    rng = np.random.default_rng(0)
    targets = (rng.random((40, 5)) < 0.3).astype(np.float32)
    targets[:, 3], targets[:, 4] = 0, 1
    probs = 0.7 * rng.random((40, 5)) + 0.3 * targets
    return targets, probs.astype(np.float32)


@pytest.mark.parametrize("thresholds", [0.5, [0.9, 0.2, 0.6, 0.4, 0.5]])
def test_f1_is_scikit_learns(arrays, thresholds):
    targets, probs = arrays
    found = f1_scores(targets, probs, thresholds)
    tagged = probs >= np.float32(thresholds)
    micro = f1_score(targets[:, :4], tagged[:, :4], average="micro")
    macro = f1_score(targets[:, :3], tagged[:, :3], average="macro")
    assert found == pytest.approx({"micro_F1": micro, "macro_F1": macro})


def test_a_probability_equal_to_its_threshold_is_a_tag():
    thresholds = np.array([0.1, 0.3])  # in float64
    probs = thresholds.astype(np.float32)[None]
    found = f1_scores(np.eye(2), np.eye(2) * probs, thresholds)
    assert found == {"micro_F1": 1.0, "macro_F1": 1.0}
    # What all clips have proves nothing
    found = f1_scores(np.ones((1, 2)), probs, thresholds)
    assert found == {"micro_F1": None, "macro_F1": None}


def test_a_table_shows_the_worst_and_the_best_classes():
    per_class = {c: {"AP": c / 10, "positives": 3} for c in range(12)}
    names = ("mAP", "AUC", "d_prime", "micro_F1", "macro_F1", "num_clips")
    metrics = {**dict.fromkeys(names, 1), "num_classes_scored": 12}
    metrics.update(per_class=per_class, thresholds="learnt")
    labels = list("lkjihgfedcba")
    table = tagging_table(metrics, labels)
    assert "d-prime  -" in tagging_table({**metrics, "d_prime": None}, labels)
    shown = [line.split("  ")[-1] for line in table.splitlines()[-11:]]
    assert shown == [*"lkjih", "...", *"edcba"]
