"""Tests of the tagging metrics.

Authors
 * The speechbrain_fftp authors 2026
"""

import math

import numpy as np
import pytest
import torch

from speechbrain_fftp.metrics.scores import d_prime, f1_scores, tagging_metrics
from speechbrain_fftp.metrics.tagging import AccuracyMetrics, TaggingMetrics

sklearn_metrics = pytest.importorskip("sklearn.metrics")


def random_split(clips=60, classes=13, seed=0):
    """Labels, of which some classes cannot be scored, and scores."""
    rng = np.random.default_rng(seed)
    targets = (rng.random((clips, classes)) < 0.3).astype(np.float32)
    targets[:, 2] = 0.0
    targets[:, 5] = 1.0
    scores = (rng.random((clips, classes)) + 0.4 * targets).astype(np.float32)
    return targets, scores


def test_equals_scikit_learn():
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


def test_d_prime():
    # An AUC of Phi(d' / sqrt(2)): two normal classes at a distance of d'.
    for distance in (-1.0, 0.0, 0.5, 2.0, 4.0):
        auc = 0.5 * (1 + math.erf(distance / 2))
        assert d_prime(auc) == pytest.approx(distance, abs=1e-6)
    assert d_prime(1.0) == pytest.approx(7.35297, abs=1e-5)
    assert d_prime(0.0) == pytest.approx(-d_prime(1.0))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_an_error(bad):
    targets, scores = random_split()
    scores[[3, 7], 1] = bad
    with pytest.raises(ValueError, match="NaN|infinity"):
        tagging_metrics(targets, scores)


def test_other_shapes_and_nothing_to_score_are_errors():
    targets, scores = random_split()
    with pytest.raises(ValueError, match="13"):
        tagging_metrics(targets, scores[:, :12])
    with pytest.raises(ValueError, match="No class"):
        tagging_metrics(targets[:, [2, 5]], scores[:, [2, 5]])
    with pytest.raises(ValueError, match="No class"):
        tagging_metrics(targets[:1], scores[:1])


@pytest.mark.parametrize("classes", [13, 1])
def test_f1_equals_scikit_learn(classes):
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


def test_each_clip_is_scored_once():
    """A sampler may give a clip to two batches or processes."""
    targets, scores = random_split()
    tensors = torch.from_numpy(scores), torch.from_numpy(targets)
    metrics = TaggingMetrics()
    ids = [f"{n:03d}" for n in range(len(targets))]
    for part in (slice(40, 60), slice(0, 45)):
        metrics.append(ids[part], tensors[0][part], tensors[1][part])
    found, probs, gathered = metrics.gather()
    assert found == ids and torch.equal(probs, tensors[0])
    assert torch.equal(gathered, tensors[1])
    expected = tagging_metrics(targets, scores)
    assert metrics.summarize("mAP") == pytest.approx(expected["mAP"])
    assert set(metrics.summarize()) == {"mAP", "AUC", "d_prime"}


def test_accuracy():
    metrics = AccuracyMetrics()
    metrics.append(["a"], torch.tensor([[0.2, 0.8]]), torch.eye(2)[1:])
    metrics.append(["b"], torch.tensor([[0.2, 0.8]]), torch.eye(2)[:1])
    assert metrics.summarize() == {"accuracy": 0.5}
