"""Tests that ``fftp-tag`` names wrong options and missing packages first.

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

MODEL = "--model model.onnx"
OTHER = '{"version": "1.0.0"}'  # of ONNX Runtime


@pytest.fixture
def fails(tmp_path, monkeypatch, capsys):
    """A function that runs a command; returns its error."""
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "model.onnx")
    for name in ("full/a.txt", "onnxruntime-web/package.json"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(OTHER)

    def run(command):
        try:
            code = main(command.split())
        except SystemExit as error:  # of argparse
            code = error.code
        assert code in (1, 2)
        return capsys.readouterr().err.splitlines()[-1]

    return run


@pytest.mark.parametrize(
    "command, named",
    [
        (f"a.wav {MODEL} --window 1", "--timeline"),
        (f"a.wav {MODEL} --timeline --top-k 3", "--threshold"),
        (f"a.wav {MODEL} --plot c.mp3", "c.mp3"),
        (f"a.wav {MODEL} --format raven", "--timeline"),
        (f"a.wav {MODEL} --top_k 3", "--top_k"),
        (f"a.wav {MODEL} --top-k 0", "'0'"),
        (f"a.wav {MODEL} --threshold nan", "'nan'"),
        ("a.wav --model none.onnx", "none.onnx"),
        ("a.wav --model a/b/none", "a/b/none"),
        (f"calibrate {MODEL}", "--data-folder"),
        (f"calibrate {MODEL} --background missing", "missing"),
        (f"calibrate {MODEL} --background x --output new.onnx", "--output"),
        (f"evaluate {MODEL} --data-folder missing", "missing"),
        ("page model.onnx full", "not empty"),
        ("page model.onnx new --example cat.flac", "cat.flac"),
        ("page model.onnx new --runtime .", "1.0.0"),
    ],
)
def test_options(fails, tmp_path, command, named):
    assert named in fails(command)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "package, name, command",
    [
        ("sklearn", "scikit-learn", f"calibrate {MODEL} --data-folder data"),
        ("sklearn", "scikit-learn", f"learn missing {MODEL}"),
        ("onnx", "onnx", "import other.pth other.onnx"),
        ("matplotlib", "matplotlib", f"room.wav {MODEL} --plot room.png"),
    ],
)
def test_packages_that_are_missing(fails, monkeypatch, package, name, command):
    monkeypatch.setattr(Model, "run", lambda *_: 1 / 0)
    monkeypatch.setitem(sys.modules, package, None)
    assert name in fails(command)


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
