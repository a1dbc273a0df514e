"""Tests that a missing package is named before the work.

Authors
 * The speechbrain_fftp authors 2026
"""

import sys

import pytest
from tiny_onnx import write_model

from fftp_tag.cli.main import main
from fftp_tag.packages import require
from fftp_tag.tag.model import Model
from speechbrain_fftp.dataio.errors import InputError

DATA = ["--data-folder", "data"]


def test_a_package_is_named_as_it_is_installed(monkeypatch):
    require("numpy", "This")
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(InputError, match="This .* pip install scikit-learn"):
        require("sklearn", "This")


@pytest.mark.parametrize(
    "package, arguments",
    [
        ("sklearn", ["calibrate", *DATA]),
        ("sklearn", ["calibrate", "--background", "room.wav"]),
        ("onnx", ["calibrate", *DATA]),
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


@pytest.mark.parametrize("package", ["sklearn", "onnx"])
def test_before_clips_are_learnt_from(tmp_path, monkeypatch, capsys, package):
    path = write_model(tmp_path / "model.onnx")
    monkeypatch.setattr(Model, "run", lambda *_: 1 / 0)
    monkeypatch.setitem(sys.modules, package, None)
    assert main(["learn", "missing", "--model", str(path)]) == 1
    name = {"sklearn": "scikit-learn"}.get(package, package)
    assert name in capsys.readouterr().err
