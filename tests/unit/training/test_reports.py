"""Tests of the files of results.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_fftp.metrics.tagging import AccuracyMetrics, TaggingMetrics
from speechbrain_fftp.training.reports import (
    report_accuracy,
    report_tagging,
    write_predictions,
)

LABELS = ["Dog", "Violin, fiddle", "Siren"]
TARGETS = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]])
PROBS = torch.tensor(
    [[0.9, 0.05, 0.05], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.7, 0.2, 0.1]]
)


def make_brain(metrics, metric):
    """A Brain after its evaluation."""
    encoder = CategoricalEncoder()
    encoder.update_from_iterable(LABELS)
    metrics.append(["a", "b", "c", "d"], PROBS, TARGETS)
    best = [SimpleNamespace(meta={"epoch": n, metric: n / 10}) for n in (3, 2)]
    return SimpleNamespace(
        metrics=metrics,
        test_stats={"loss": 0.25},
        checkpointer=SimpleNamespace(find_checkpoints=lambda **_: best),
        hparams=SimpleNamespace(
            seed=7,
            avg_checkpoints=2,
            label_encoder=encoder,
            epoch_counter=SimpleNamespace(limit=4),
        ),
    )


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_tagging(tmp_path):
    pytest.importorskip("sklearn")
    report_tagging(make_brain(TaggingMetrics(), "mAP"), {}, tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["averaged_epochs"] == [2, 3] and metrics["epochs"] == 4
    assert metrics["valid_mAP"] == 0.3 and metrics["seed"] == 7
    assert metrics["loss"] == 0.25 and "micro_F1" not in metrics
    rows = read(tmp_path / "per_class.csv")
    assert [row["label"] for row in rows] == LABELS
    average = np.mean([float(row["AP"]) for row in rows])
    assert metrics["mAP"] == pytest.approx(average)


def test_accuracy(tmp_path):
    pytest.importorskip("sklearn")
    report_accuracy(make_brain(AccuracyMetrics(), "accuracy"), {}, tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["accuracy"] == 0.75 and metrics["num_clips"] == 4
    rows = read(tmp_path / "confusion.csv")
    assert rows[1] == {
        "true": "Violin, fiddle",
        "Dog": "1",
        "Violin, fiddle": "0",
        "Siren": "0",
    }
    recall = {
        r["label"]: float(r["recall"]) for r in read(tmp_path / "per_class.csv")
    }
    assert recall == {"Dog": 1.0, "Violin, fiddle": 0.0, "Siren": 1.0}


def test_the_least_plausible_labels_come_first(tmp_path):
    write_predictions(
        tmp_path, list("abcd"), TARGETS.numpy(), PROBS.numpy(), LABELS
    )
    rows = read(tmp_path / "predictions.csv")
    assert [row["ID"] for row in rows] == ["b", "d", "c", "a"]
    assert rows[0]["labels"] == "Violin, fiddle" and rows[0]["tag_1"] == "Dog"
    with np.load(tmp_path / "probabilities.npz") as stored:
        np.testing.assert_array_equal(stored["probs"], PROBS.numpy())
        assert stored["labels"].tolist() == LABELS
