"""Tests that a missing package is named before the work.

Authors
 * The speechbrain_fftp authors 2026
"""

import sys

import pytest
from tiny_onnx import write_model

from fftp_tag.cli.main import main
from fftp_tag.tag.model import Model

DATA = ["--data-folder", "data"]


@pytest.mark.parametrize(
    "package, arguments",
    [
        ("sklearn", ["calibrate", *DATA]),
        ("onnx", ["import", "other.pth", "other.onnx"]),
        ("matplotlib", ["room.wav", "--plot", "room.png"]),
        ("sounddevice", ["listen"]),
    ],
)
def test_before_the_model_is_loaded(
    tmp_path, monkeypatch, capsys, package, arguments
):
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "model.onnx")
    monkeypatch.setattr(Model, "__init__", lambda *_: 1 / 0)
    monkeypatch.setitem(sys.modules, package, None)
    if arguments[0] != "import":
        arguments = [*arguments, "--model", "model.onnx"]
    assert main(arguments) == 1
    name = {"sklearn": "scikit-learn"}.get(package, package)
    assert name in capsys.readouterr().err


def test_before_clips_are_learnt_from(tmp_path, monkeypatch, capsys):
    path = write_model(tmp_path / "model.onnx")
    monkeypatch.setattr(Model, "run", lambda *_: 1 / 0)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert main(["learn", "missing", "--model", str(path)]) == 1
    assert "scikit-learn" in capsys.readouterr().err
