"""Tests of what is shown in TensorBoard.

Authors
 * The speechbrain_fftp authors 2026
"""

import io

import numpy as np
import pytest
import torch

from speechbrain_fftp.training.reports import (
    add_confusion,
    add_predictions,
    add_spectrograms,
)


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
    assert "pip install matplotlib" in caplog.text
    assert not (tmp_path / "c.png").exists()
