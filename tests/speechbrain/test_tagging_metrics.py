"""Tests of the metrics of audio tagging.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch


def random_split(clips=60, classes=9):
    """Scores with ties, and labels; two classes cannot be scored."""
    torch.manual_seed(0)
    targets = (torch.rand(clips, classes) < 0.3).float()
    targets[:, 2] = 0.0
    targets[:, 5] = 1.0
    scores = torch.rand(clips, classes) + 0.4 * targets
    return scores.mul(10).round() / 14, targets


def test_equals_scikit_learn(device):
    """Each clip is scored once, also if it was given out twice."""
    from speechbrain.utils.tagging_metrics import TaggingMetrics

    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    scores, targets = random_split()
    kept = [c for c in range(9) if c not in (2, 5)]
    selected = targets[:, kept].numpy(), scores[:, kept].numpy()
    metrics = TaggingMetrics()
    ids = [f"{clip:02d}" for clip in range(60)]
    for part in (slice(40, 60), slice(0, 45)):
        metrics.append(
            ids[part], scores[part].to(device), targets[part].to(device)
        )
    assert metrics.gather()[0] == ids
    precision = sklearn_metrics.average_precision_score(*selected)
    area = sklearn_metrics.roc_auc_score(*selected)
    assert metrics.summarize("mAP") == pytest.approx(precision)
    assert metrics.summarize("AUC") == pytest.approx(area)


def test_errors(device):
    from speechbrain.utils.tagging_metrics import TaggingMetrics

    scores, targets = random_split()
    ids = [str(clip) for clip in range(60)]
    with pytest.raises(ValueError, match="8.*9"):
        TaggingMetrics().append(ids, scores[:, :8], targets)
    for values, labels, message in (
        (scores[:, 2:3], targets[:, 2:3], "No class"),
        (scores / 0, targets, "NaN"),
    ):
        metrics = TaggingMetrics()
        metrics.append(ids, values.to(device), labels.to(device))
        with pytest.raises(ValueError, match=message):
            metrics.summarize()
