"""Tests of scores of tags, against scikit-learn.

Authors
 * The speechbrain_fftp authors 2026
"""

from statistics import NormalDist

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from fftp_tag.score.tags import f1_scores, tagging_metrics, tagging_table
from speechbrain_fftp.dataio.errors import InputError


@pytest.fixture
def arrays():
    """Targets and probabilities; classes 3 and 4 say nothing."""
    rng = np.random.default_rng(0)
    targets = (rng.random((40, 5)) < 0.3).astype(np.float32)
    targets[:, 3], targets[:, 4] = 0, 1
    probs = 0.7 * rng.random((40, 5)) + 0.3 * targets
    return targets, probs.astype(np.float32)


def test_scores_are_scikit_learns(arrays):
    targets, probs = arrays
    found = tagging_metrics(targets, probs)
    used = targets[:, :3], probs[:, :3]
    assert found["mAP"] == pytest.approx(average_precision_score(*used))
    auc = roc_auc_score(*used)
    d_prime = 2**0.5 * NormalDist().inv_cdf(auc)
    assert found["AUC"] == pytest.approx(auc)
    assert found["d_prime"] == pytest.approx(d_prime)
    with pytest.raises(InputError, match="positive"):
        tagging_metrics(targets[:, 3:], probs[:, 3:])
    assert sorted(found["per_class"]) == [0, 1, 2]
    for c, row in found["per_class"].items():
        ap = average_precision_score(targets[:, c], probs[:, c])
        assert row["AP"] == pytest.approx(ap)
        assert row["positives"] == targets[:, c].sum()


@pytest.mark.parametrize("thresholds", [0.5, [0.9, 0.2, 0.6, 0.4, 0.5]])
def test_f1_is_scikit_learns(arrays, thresholds):
    targets, probs = arrays
    probs[0] = np.float32(thresholds)  # equal to a threshold is a tag
    found = f1_scores(targets, probs, thresholds)
    tagged = probs >= np.float32(thresholds)
    micro = f1_score(targets, tagged, average="micro")
    macro = f1_score(targets[:, :3], tagged[:, :3], average="macro")
    assert found == pytest.approx({"micro_F1": micro, "macro_F1": macro})


def test_a_table_shows_the_worst_and_the_best_classes():
    rng = np.random.default_rng(0)
    targets = (rng.random((50, 12)) < 0.5).astype(np.float32)
    metrics = tagging_metrics(targets, rng.random((50, 12)))
    metrics.update(micro_F1=0.25, macro_F1=0.125, thresholds="learnt")
    labels = [f"class {c}" for c in range(12)]
    lines = tagging_table(metrics, labels).splitlines()
    assert f"mAP      {metrics['mAP']:.4f}" in lines
    ranked = sorted(range(12), key=lambda c: metrics["per_class"][c]["AP"])
    shown = [line.split("  ")[-1] for line in lines[-11:]]
    expected = [labels[c] for c in ranked]
    assert shown == [*expected[:5], "...", *expected[-5:]]
