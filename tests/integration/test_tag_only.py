"""Tests a machine that only tags: without PyTorch and SpeechBrain.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import shutil
import subprocess
import venv
from pathlib import Path

import pytest
import soundfile as sf
from tiny_onnx import RATE, sounds

ROOT = Path(__file__).resolve().parents[2]
FILES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")


@pytest.mark.slow
def test_a_machine_that_only_tags(tmp_path):
    """As README says, in a new environment."""
    source = tmp_path / "source"
    source.mkdir()
    for name in FILES:
        shutil.copy(ROOT / name, source)
    for package in ("fftp_tag", "speechbrain_fftp"):
        shutil.copytree(ROOT / package, source / package)
    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv" / "bin"

    def run(*command):
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    pip = [programs / "pip", "install", "-q", "--no-compile"]
    constraints = ["-c", ROOT / "constraints.txt"]
    run(*pip, *constraints, source)
    packages = run(programs / "pip", "list")
    assert "onnxruntime" in packages
    assert not {"torch", "speechbrain"} & set(packages.split())
    files = [path for path in (tmp_path / "venv").rglob("*") if path.is_file()]
    assert {"page.js", "review.js"} <= {path.name for path in files}
    assert sum(path.lstat().st_size for path in files) < 250e6

    # With the model that the package holds
    sf.write(tmp_path / "clip.wav", sounds(3.0), RATE)
    tag = [programs / "fftp-tag", "clip.wav", "--format", "json"]
    [row] = json.loads(run(*tag, "--threshold", "0.0001"))
    assert row["tags"]
    [row] = json.loads(run(*tag, "--timeline"))
    assert "events" in row
    run(programs / "fftp-tag", "page", "starter", "page")
    assert (tmp_path / "page" / "index.html").is_file()
