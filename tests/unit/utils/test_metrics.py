"""Tests of the tagging metrics.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import json
import math

import numpy as np
import pytest

from speechbrain_fftp.utils.metrics import (
    accuracy_metrics,
    d_prime,
    tagging_metrics,
    write_accuracy,
    write_results,
)


def random_split(clips=60, classes=13, seed=0):
    """Labels, of which some classes cannot be scored, and scores."""
    rng = np.random.default_rng(seed)
    targets = (rng.random((clips, classes)) < 0.3).astype(np.float32)
    targets[:, 2] = 0.0
    targets[:, 5] = 1.0
    scores = (rng.random((clips, classes)) + 0.4 * targets).astype(np.float32)
    return targets, scores


def test_equals_scikit_learn():
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
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


def test_classes_without_positives_or_negatives_are_left_out():
    metrics = tagging_metrics(*random_split())
    assert sorted(metrics["per_class"]) == [0, 1, 3, 4, *range(6, 13)]
    assert metrics["num_classes_scored"] == 11 and metrics["num_clips"] == 60


def test_by_hand():
    # Ranks of the positives: 1, 3, 4 of 5 in the first class; 5 in the second.
    scores = np.array(
        [[0.9, 0.1], [0.8, 0.5], [0.7, 0.6], [0.6, 0.7], [0, 0.8]]
    )
    targets = np.array([[1, 1], [0, 0], [1, 0], [1, 0], [0, 0]])
    metrics = tagging_metrics(targets, scores)
    first, second = metrics["per_class"][0], metrics["per_class"][1]
    assert first["AP"] == pytest.approx((1 / 1 + 2 / 3 + 3 / 4) / 3)
    assert first["AUC"] == pytest.approx(4 / 6)  # 4 of 6 pairs in order
    assert second["AP"] == pytest.approx(1 / 5) and second["AUC"] == 0
    assert metrics["mAP"] == pytest.approx((first["AP"] + 1 / 5) / 2)
    assert metrics["AUC"] == pytest.approx(1 / 3)
    assert metrics["d_prime"] == pytest.approx(d_prime(1 / 3))


def test_only_the_ranking_counts():
    targets, scores = random_split()
    expected = tagging_metrics(targets, scores)
    transformed = tagging_metrics(targets, np.exp(3 * scores.astype(float)))
    assert transformed["per_class"] == expected["per_class"]


def test_d_prime():
    # An AUC of Phi(d' / sqrt(2)): two normal classes at a distance of d'.
    for distance in (-1.0, 0.0, 0.5, 2.0, 4.0):
        auc = 0.5 * (1 + math.erf(distance / 2))
        assert d_prime(auc) == pytest.approx(distance, abs=1e-6)
    assert d_prime(1.0) == pytest.approx(7.35297, abs=1e-5)
    assert d_prime(0.0) == pytest.approx(-d_prime(1.0))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_an_error(bad):
    targets, scores = random_split()
    scores[[3, 7], 1] = bad
    with pytest.raises(ValueError, match="2 of 60 clips.*not finite"):
        tagging_metrics(targets, scores)


def test_other_shapes_and_nothing_to_score_are_errors():
    targets, scores = random_split()
    with pytest.raises(ValueError, match=r"\(60, 13\).*\(60, 12\)"):
        tagging_metrics(targets, scores[:, :12])
    with pytest.raises(ValueError, match="No class"):
        tagging_metrics(targets[:, [2, 5]], scores[:, [2, 5]])
    with pytest.raises(ValueError, match="No class"):
        tagging_metrics(targets[:1], scores[:1])


def test_written_results_are_what_was_measured(tmp_path):
    metrics = tagging_metrics(*random_split())
    labels = [f"class {c}" for c in range(12)] + ['Bark, "dog"']
    write_results(metrics, labels, str(tmp_path), loss=0.25, data="real")
    with open(tmp_path / "metrics.json", encoding="utf-8") as fi:
        written = json.load(fi)
    keys = ["mAP", "AUC", "d_prime", "num_classes_scored", "num_clips"]
    expected = {key: metrics[key] for key in keys}
    assert written == {**expected, "loss": 0.25, "data": "real"}
    with open(tmp_path / "per_class.csv", encoding="utf-8", newline="") as fi:
        rows = list(csv.DictReader(fi))
    assert len(rows) == 11 and rows[-1]["label"] == 'Bark, "dog"'
    for row, (c, values) in zip(rows, metrics["per_class"].items()):
        assert row.pop("label") == labels[c]
        assert {k: float(v) for k, v in row.items()} == values


def test_table_shows_the_worst_and_the_best_five(tmp_path):
    metrics = tagging_metrics(*random_split())
    labels = [f"class {c}" for c in range(13)]
    lines = write_results(metrics, labels, tmp_path).splitlines()
    assert lines[0] == f"mAP      {metrics['mAP']:.4f}"
    assert "11 of 13 classes" in lines[3] and "among 60" in lines[3]
    table = lines[5:]
    ranked = sorted(metrics["per_class"].items(), key=lambda x: x[1]["AP"])
    expected = [
        f"{row['AP']:.4f}  {row['positives']:9d}  class {c}"
        for c, row in ranked
    ]
    assert table == expected[:5] + ["..."] + expected[-5:]


def test_accuracy_by_counting(tmp_path):
    rng = np.random.default_rng(0)
    true = rng.integers(0, 4, 200)
    scores = rng.random((200, 5)) + 0.5 * np.eye(5)[true]
    metrics = accuracy_metrics(np.eye(5)[true], scores)
    found = [max(range(5), key=row.__getitem__) for row in scores.tolist()]
    pairs = list(zip(true.tolist(), found))
    assert metrics["accuracy"] == sum(t == f for t, f in pairs) / 200
    for t in range(5):
        for f in range(5):
            assert metrics["confusion"][t, f] == pairs.count((t, f))
    for c, row in enumerate(metrics["per_class"]):
        hits, told = pairs.count((c, c)), found.count(c)
        clips = int((true == c).sum())
        assert row["clips"] == clips
        assert row["recall"] == (hits / clips if clips else 0)
        assert row["precision"] == (hits / told if told else 0)
        assert row["F1"] == pytest.approx(2 * hits / (clips + told))

    labels = ["a", "b", "c", "d", "e, f"]
    table = write_accuracy(metrics, labels, tmp_path, loss=1.5)
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert written["accuracy"] == metrics["accuracy"]
    assert written["loss"] == 1.5
    with open(tmp_path / "confusion.csv", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["true", *labels]
    assert [list(map(int, row[1:])) for row in rows] == metrics[
        "confusion"
    ].tolist()
    assert len(table.splitlines()) == 7 and table.endswith("e, f")


def test_accuracy_of_scores_that_are_not_finite_is_an_error():
    with pytest.raises(ValueError, match="1 of 2 clips"):
        accuracy_metrics(np.eye(2), np.array([[1, np.nan], [0, 1]]))
