"""Tests of the metrics of audio tagging.

Authors
 * The speechbrain_fftp authors 2026
"""

import math

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
    from speechbrain.utils.tagging_metrics import TaggingMetrics

    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    scores, targets = random_split()
    kept = [c for c in range(9) if c not in (2, 5)]
    selected = targets[:, kept].numpy(), scores[:, kept].numpy()
    metrics = TaggingMetrics()
    ids = [str(clip) for clip in range(60)]
    metrics.append(ids, scores.to(device), targets.to(device))
    precision = sklearn_metrics.average_precision_score(*selected)
    area = sklearn_metrics.roc_auc_score(*selected)
    assert metrics.summarize("mAP") == pytest.approx(precision)
    assert metrics.summarize("AUC") == pytest.approx(area)


def test_by_hand_with_ties(device):
    from speechbrain.utils.tagging_metrics import (
        area_under_roc,
        average_precision,
    )

    scores = torch.tensor([0.5, 0.9, 0.7, 0.7, 0.2], device=device)
    targets = torch.tensor([1, 1, 0, 1, 0], device=device)
    # Precision is 1 at 0.9, 2 of 3 at 0.7, and 3 of 4 at 0.5
    precision = (1 + 2 / 3 + 3 / 4) / 3
    assert average_precision(scores, targets) == pytest.approx(precision)
    # Of 6 pairs, 4 are in order, one is not, and one is tied
    assert area_under_roc(scores, targets) == pytest.approx(4.5 / 6)


def test_d_prime():
    from speechbrain.utils.tagging_metrics import d_prime

    for distance in (-1.0, 0.0, 0.5, 2.0, 4.0):
        area = 0.5 * (1 + math.erf(distance / 2))
        assert d_prime(area) == pytest.approx(distance, abs=1e-6)
    assert d_prime(1.0) == pytest.approx(-d_prime(0.0))


def test_each_clip_is_scored_once(device):
    from speechbrain.utils.tagging_metrics import TaggingMetrics

    scores, targets = random_split()
    ids = [f"{clip:02d}" for clip in range(60)]
    metrics, whole = TaggingMetrics(), TaggingMetrics()
    whole.append(ids, scores, targets)
    for part in (slice(40, 60), slice(0, 45)):
        metrics.append(
            ids[part], scores[part].to(device), targets[part].to(device)
        )
    assert metrics.gather()[0] == ids
    assert metrics.summarize() == whole.summarize()


def test_errors(device):
    from speechbrain.utils.tagging_metrics import TaggingMetrics

    scores, targets = random_split()
    ids = [str(clip) for clip in range(60)]
    metrics = TaggingMetrics()
    with pytest.raises(ValueError, match="8.*9"):
        metrics.append(ids, scores[:, :8], targets)
    metrics.append(ids, scores[:, 2:3].to(device), targets[:, 2:3].to(device))
    with pytest.raises(ValueError, match="No class"):
        metrics.summarize()
    metrics = TaggingMetrics()
    metrics.append(ids, scores / 0, targets)
    with pytest.raises(ValueError, match="NaN"):
        metrics.summarize()
