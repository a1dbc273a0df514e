"""Tests that a missing package is named before the work.

Authors
 * The speechbrain_fftp authors 2026
"""

import sys

import pytest
from tiny_onnx import write_model

from fftp_tag.cli.main import main
from fftp_tag.errors import InputError
from fftp_tag.model.session import Model
from fftp_tag.packages import require

DATA = ["--data-folder", "data"]


@pytest.mark.parametrize(
    "package, arguments",
    [
        ("sklearn", ["calibrate", *DATA]),
        ("onnx", ["import", "other.pth", "other.onnx"]),
        ("matplotlib", ["room.wav", "--plot", "room.png"]),
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


@pytest.mark.parametrize(
    "content, reason",
    [
        ("raise ImportError('libx.so.1: cannot open')", "libx.so.1"),
        ("import other_missing", "other_missing"),
        (None, "pip install some_package"),
    ],
)
def test_packages_that_cannot_be_imported(
    tmp_path, monkeypatch, content, reason
):
    """Only one that is missing should be installed."""
    monkeypatch.syspath_prepend(tmp_path)
    if content is not None:
        (tmp_path / "some_package.py").write_text(content)
    with pytest.raises(InputError, match="some_package") as found:
        require("some_package", "Sound")
    assert reason in str(found.value)
    assert ("pip" in str(found.value)) == (content is None)
