"""What tests of the command ``fftp-tag`` share.

Authors
 * The speechbrain_fftp authors 2026
"""

import pytest
from tiny_onnx import write_model

from fftp_tag.cli.main import main


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A model of clips, and a frame-level one with thresholds."""
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "clips.onnx")
    rules = {"thresholds": [0.05, 0.2, 0.9], "merge_gap": [0.1] * 3}
    write_model(folder / "learnt.onnx", is_frame_level=True, **rules)
    return folder


@pytest.fixture
def run(models, capsys):
    """Runs the command in this process; returns what it prints."""

    def call(*arguments, model="clips", code=0):
        path = models / f"{model}.onnx"
        assert main([*map(str, arguments), "--model", str(path)]) == code
        return capsys.readouterr()

    return call
