"""Tests of the table of an evaluation's clips.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv

import torch

from speechbrain_fftp.training.predictions import write_predictions

LABELS = ["Dog", "Violin, fiddle", "Siren"]


def written(path, ids, targets, probs, **opts):
    write_predictions(path, ids, targets, probs, LABELS, **opts)
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_clips_are_ordered_by_their_least_probable_label(tmp_path):
    targets = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 0, 1]])
    probs = torch.tensor(
        [[0.9, 0.1, 0.2], [0.8, 0.3, 0.6], [0.01, 0.02, 0.03], [0.1, 0.2, 0.5]]
    )
    rows = written(tmp_path / "p.csv", ["a", "b", "c", "d"], targets, probs)
    assert [(row["ID"], row["labels"], row["probability"]) for row in rows] == [
        ("b", "Dog;Violin, fiddle", "0.3000"),
        ("d", "Siren", "0.5000"),
        ("a", "Dog", "0.9000"),
        ("c", "", ""),
    ]


def test_tags_are_the_most_probable_ones_in_order(tmp_path):
    probs = torch.tensor([[0.2, 0.7, 0.4]])
    targets = torch.zeros(1, 3)
    (row,) = written(tmp_path / "p.csv", ["a"], targets, probs, top_k=2)
    tags = [row["tag_1"], row["probability_1"]]
    assert tags == ["Violin, fiddle", "0.7000"]
    assert [row["tag_2"], row["probability_2"]] == ["Siren", "0.4000"]
    assert "tag_3" not in row


def test_more_tags_than_classes_are_not_asked_for(tmp_path):
    probs = torch.tensor([[0.2, 0.7, 0.4]])
    (row,) = written(tmp_path / "p.csv", ["a"], torch.zeros(1, 3), probs)
    assert [row[f"tag_{i}"] for i in (1, 2, 3)] == [
        "Violin, fiddle",
        "Siren",
        "Dog",
    ]
    assert len(row) == 9
