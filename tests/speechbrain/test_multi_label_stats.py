"""Tests of the metrics of clips with several labels.

Authors
 * The speechbrain_fftp authors 2026
"""

import io

import pytest
import torch


def random_split(digits=6):
    """Scores and labels of 60 clips; classes 2 and 5 cannot be scored.

    With few digits, scores tie; with none, most do.
    """
    torch.manual_seed(0)
    targets = (torch.rand(60, 9) < 0.3).float()
    targets[:, 2], targets[:, 5] = 0.0, 1.0
    scores = torch.randn(60, 9) + targets
    return scores.round(decimals=digits), targets


def make_stats(scores, targets):
    from speechbrain.utils.metric_stats import MultiLabelStats

    stats = MultiLabelStats()
    stats.append([f"{n:06d}" for n in range(len(scores))], scores, targets)
    return stats


@pytest.mark.parametrize("digits", [0, 1, 6])
def test_equals_scikit_learn(device, digits):
    metrics = pytest.importorskip("sklearn.metrics")
    scores, targets = random_split(digits)
    scored = [c for c in range(9) if c not in (2, 5)]
    used = targets[:, scored].numpy(), scores[:, scored].numpy()
    precisions = metrics.average_precision_score(*used, average=None)
    areas = metrics.roc_auc_score(*used, average=None)
    stats = make_stats(scores.to(device), targets.to(device))
    found, rows = stats.summarize(), stats.per_class
    assert list(rows) == scored
    for row, *expected in zip(rows.values(), precisions, areas, used[0].T):
        assert [row["AP"], row["AUC"]] == pytest.approx(expected[:2])
        assert row["positives"] == expected[2].sum()
    assert found["mAP"] == pytest.approx(precisions.mean())
    assert found["AUC"] == pytest.approx(areas.mean())
    assert stats.summarize("AUC") == found["AUC"]


def test_each_clip_is_scored_once():
    """Also if it was given out twice, as in distributed evaluation."""
    scores, targets = random_split()
    expected = make_stats(scores, targets)
    stats = make_stats(scores[:0], targets[:0])
    ids = [f"{n:06d}" for n in range(60)]
    for part in (slice(40, 60), slice(0, 45)):
        stats.append(ids[part], scores[part], targets[part])
    assert stats.gather()[0] == ids
    assert stats.summarize() == expected.summarize()
    stats.clear()
    assert stats.ids == [] and stats.summary == {}


def test_d_prime_is_the_distance_of_normal_scores():
    torch.manual_seed(0)
    targets = torch.arange(200000) % 2
    scores = torch.randn(200000) + 1.3 * targets
    stats = make_stats(scores[:, None], targets[:, None])
    assert stats.summarize("d_prime") == pytest.approx(1.3, abs=0.02)
    assert 7 < make_stats(torch.eye(2), torch.eye(2)).summarize("d_prime") < 8
    same = make_stats(torch.zeros(4, 2), torch.eye(4, 2)).summarize()
    assert same == {"mAP": 0.25, "AUC": 0.5, "d_prime": 0.0}


def test_what_is_written():
    stats, file = make_stats(*random_split()), io.StringIO()
    stats.write_stats(file)
    first, *_, last = file.getvalue().splitlines()
    assert first == f"mAP: {stats.summary['mAP']}"
    assert last.startswith(f"class 8: AP {stats.per_class[8]['AP']:.4f}")


def test_what_cannot_be_scored_is_an_error():
    scores, targets = random_split()
    for values, labels, named in (
        (scores[:, :8], targets, "8.*9"),
        (scores[:, 2:3], targets[:, 2:3], "No class"),
        (scores / 0, targets, "NaN"),
    ):
        with pytest.raises(ValueError, match=named):
            make_stats(values, labels).summarize()
