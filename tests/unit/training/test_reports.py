"""Tests of the files of results.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv

import numpy as np
import torch

from speechbrain_fftp.training.reports import write_predictions

LABELS = ["Dog", "Violin, fiddle", "Siren"]
TARGETS = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]])
PROBS = torch.tensor(
    [[0.9, 0.05, 0.05], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.7, 0.2, 0.1]]
)


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


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
