"""Tests of reports: TensorBoard, tables and files of results.

Authors
 * The speechbrain_fftp authors 2026
"""

import csv
import io
import json

import numpy as np
import pytest
import torch

from speechbrain_fftp.metrics.tagging import tagging_metrics
from speechbrain_fftp.training.reports import (
    add_confusion,
    add_predictions,
    add_spectrograms,
    write_accuracy_results,
    write_predictions,
    write_tagging_results,
)

LABELS = ["Dog", "Violin, fiddle", "Siren"]


def events(folder):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    return accumulator.EventAccumulator(str(folder)).Reload()


def test_spectrograms_stand_above_each_other(tmp_path):
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    image = pytest.importorskip("PIL.Image")
    plain = torch.arange(12.0).view(4, 3)  # 4 frames, 3 bins
    masked = plain.clone()
    masked[1] = 5.0
    with tensorboard.SummaryWriter(str(tmp_path)) as writer:
        add_spectrograms(writer, plain, masked, 3)
    (event,) = events(tmp_path).Images("spectrogram/masked_above_plain")
    assert event.step == 3 and (event.width, event.height) == (4, 6)
    pixels = image.open(io.BytesIO(event.encoded_image_string)).convert("L")
    pixels = torch.from_numpy(np.array(pixels)).float()
    # Rows from the top: the highest bin of the masked clip comes first.
    expected = torch.cat([masked.T.flip(0), plain.T.flip(0)]) / 11 * 255
    assert (pixels - expected).abs().max() <= 1


def test_spectrogram_of_silence_is_black(tmp_path):
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    image = pytest.importorskip("PIL.Image")
    silence = torch.full((4, 3), -1.27)
    with tensorboard.SummaryWriter(str(tmp_path)) as writer:
        add_spectrograms(writer, silence, silence, 1)
    (event,) = events(tmp_path).Images("spectrogram/masked_above_plain")
    pixels = image.open(io.BytesIO(event.encoded_image_string)).convert("L")
    assert not np.array(pixels).any()


def test_predictions(tmp_path):
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    scores = torch.tensor([[0.1, 0.9, 0.3, 0.6], [0.8, 0.2, 0.1, 0.0]])
    targets = torch.tensor([[0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    labels = ["Siren", "Beep", "Rain", "Music"]
    with tensorboard.SummaryWriter(str(tmp_path)) as writer:
        add_predictions(writer, ["a", "b"], scores, targets, labels, 2)
    (event,) = events(tmp_path).Tensors("predictions/text_summary")
    assert event.step == 2
    rows = event.tensor_proto.string_val[0].decode("utf-8").splitlines()
    assert rows[2:] == [
        "a | Beep, Music | Beep 0.90, Music 0.60, Rain 0.30",
        "b |  | Siren 0.80, Beep 0.20, Rain 0.10",
    ]


def test_confusion_is_darker_where_more_clips_are(tmp_path):
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    pytest.importorskip("matplotlib")
    image = pytest.importorskip("PIL.Image")
    confusion = np.array([[0, 0, 9], [0, 4, 0], [3, 0, 3]])
    picture = tmp_path / "confusion.png"
    with tensorboard.SummaryWriter(str(tmp_path)) as writer:
        add_confusion(writer, confusion, ["up", "on", "go"], picture)
    (event,) = events(tmp_path).Images("confusion")
    assert event.width == event.height
    pixels = np.array(image.open(picture).convert("L")).astype(float)
    blue = pixels < 90  # a share above a half: one cell in each of two rows
    rows, columns = np.nonzero(blue)
    middle = len(pixels) * 0.55
    assert 0.05 < blue.mean() < 0.25
    top = columns[rows < rows.mean() - 20].mean()
    assert top > middle


def test_without_matplotlib_there_is_a_warning(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    add_confusion(None, np.eye(2, dtype=int), ["a", "b"], tmp_path / "c.png")
    install = 'pip install -c constraints.txt -e ".[demo]"'
    assert install in caplog.text
    assert not (tmp_path / "c.png").exists()


def written(path, ids, targets, probs, **opts):
    write_predictions(path.parent, ids, targets, probs, LABELS, **opts)
    with open(
        path.parent / "predictions.csv", encoding="utf-8", newline=""
    ) as file:
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


def random_split(clips=60, classes=13, seed=0):
    """Labels, of which two classes cannot be scored, and scores."""
    rng = np.random.default_rng(seed)
    targets = (rng.random((clips, classes)) < 0.3).astype(np.float32)
    targets[:, 2] = 0.0
    targets[:, 5] = 1.0
    scores = (rng.random((clips, classes)) + 0.4 * targets).astype(np.float32)
    return targets, scores


def test_written_results_are_what_was_measured(tmp_path):
    metrics = tagging_metrics(*random_split())
    labels = [f"class {c}" for c in range(12)] + ['Bark, "dog"']
    write_tagging_results(
        metrics, labels, str(tmp_path), loss=0.25, data="real"
    )
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
    lines = write_tagging_results(metrics, labels, tmp_path).splitlines()
    assert lines[0] == f"mAP      {metrics['mAP']:.4f}"
    assert "11 of 13 classes" in lines[3] and "among 60" in lines[3]
    table = lines[5:]
    ranked = sorted(metrics["per_class"].items(), key=lambda x: x[1]["AP"])
    expected = [
        f"{row['AP']:.4f}  {row['positives']:9d}  class {c}"
        for c, row in ranked
    ]
    assert table == expected[:5] + ["..."] + expected[-5:]


@pytest.mark.parametrize("drawn_from", [4, 5])
def test_accuracy_by_counting(drawn_from, tmp_path):
    """With and without a class that no clip has."""
    rng = np.random.default_rng(0)
    true = rng.integers(0, drawn_from, 200)
    scores = rng.random((200, 5)) + 0.5 * np.eye(5)[true]
    targets = torch.from_numpy(np.eye(5)[true])
    labels = ["accuracy", "b", "c", "macro avg", "e, f"]
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    with tensorboard.SummaryWriter(str(tmp_path)) as writer:
        table = write_accuracy_results(
            targets,
            torch.from_numpy(scores),
            labels,
            tmp_path,
            writer,
            loss=1.5,
        )
    found = [max(range(5), key=row.__getitem__) for row in scores.tolist()]
    pairs = list(zip(true.tolist(), found))
    accuracy = sum(t == f for t, f in pairs) / 200
    assert json.loads((tmp_path / "metrics.json").read_text()) == {
        "accuracy": accuracy,
        "num_clips": 200,
        "loss": 1.5,
    }
    with open(tmp_path / "confusion.csv", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["true", *labels]
    for t, row in enumerate(rows):
        assert row[0] == labels[t]
        assert [int(n) for n in row[1:]] == [
            pairs.count((t, f)) for f in range(5)
        ]
    with open(tmp_path / "per_class.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["label", "recall", "precision", "F1", "clips"]
    for c, row in enumerate(rows):
        hits, told = pairs.count((c, c)), found.count(c)
        clips = int((true == c).sum())
        assert row["label"] == labels[c] and row["clips"] == str(clips)
        assert float(row["recall"]) == (hits / clips if clips else 0)
        assert float(row["precision"]) == (hits / told if told else 0)
        assert float(row["F1"]) == pytest.approx(2 * hits / (clips + told))
    assert table.startswith(f"accuracy {accuracy:.4f} of 200 clips\n")
    for row in rows:
        assert row["label"] in table and f"{float(row['recall']):.4f}" in table
