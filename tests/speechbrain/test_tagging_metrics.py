"""Tests of the collected predictions of audio tagging.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
import torch


def random_split(clips=60, classes=9):
    """Scores and labels; class 2 cannot be scored."""
    torch.manual_seed(0)
    targets = (torch.rand(clips, classes) < 0.3).float()
    targets[:, 2] = 0.0
    return torch.rand(clips, classes) + 0.4 * targets, targets


def test_each_clip_is_scored_once(device):
    """Also if it was given out twice."""
    from speechbrain.utils.ranking import ranking_metrics
    from speechbrain.utils.tagging_metrics import TaggingMetrics

    scores, targets = random_split()
    metrics = TaggingMetrics()
    ids = [f"{clip:02d}" for clip in range(60)]
    for part in (slice(40, 60), slice(0, 45)):
        metrics.append(
            ids[part], scores[part].to(device), targets[part].to(device)
        )
    assert metrics.gather()[0] == ids
    expected = ranking_metrics(targets.numpy(), scores.numpy())
    found = metrics.summarize()
    assert found == {name: expected[name] for name in found}
    assert sorted(found) == ["AUC", "d_prime", "mAP"]
    assert metrics.summarize("mAP") == expected["mAP"]
    assert metrics.scores == expected


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
