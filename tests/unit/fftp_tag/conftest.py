"""What tests of the command ``fftp-tag`` and of its page share.

Authors
 * The speechbrain_fftp authors 2026
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_onnx import write_model

from fftp_tag.cli.main import main
from fftp_tag.cli.page import PACKAGE, STATIC
from fftp_tag.data.clips import Clip
from fftp_tag.learning import learn

MODULES = Path(__file__).resolve().parents[3] / "node_modules"


@pytest.fixture(scope="session")
def clicks(tmp_path_factory):
    """A small bank: three kinds of clicks, each at its own rate."""
    folder, rate = tmp_path_factory.mktemp("bank"), 1000
    rows = []
    for kind, gap in enumerate((40, 90, 200)):
        for seed in range(4):
            draw = np.random.default_rng(10 * kind + seed)
            wav = 0.01 * draw.standard_normal(rate)
            wav[draw.integers(20) :: gap] += 0.5
            path = folder / f"{kind}_{seed}.wav"
            soundfile.write(path, wav, rate)
            rows.append(Clip(path.name, str(path), kind=str(kind)))
    return rows


@pytest.fixture(autouse=True)
def bank(monkeypatch, clicks):
    """The bank that ``learn`` learns from, which takes less time than its own."""
    monkeypatch.setattr(learn, "read_bank", lambda: clicks)
    return clicks


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


def missing(what):
    """Skips a test, or fails where all must be there."""
    if os.environ.get("CI_REQUIRE_BROWSER") == "1":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A function that runs JavaScript with ``given``; returns its result.

    Nothing may be written to the console. The code is an async function's, and
    has all that a module exports, and the folder of all modules.
    """
    command = shutil.which("node")
    if command is None:
        missing("node is not installed")
    folder = tmp_path_factory.mktemp("static")
    (folder / "package.json").write_text('{"type": "module"}')
    for path in STATIC.glob("*.js"):
        shutil.copyfile(path, folder / path.name)

    def run(module, code, given):
        text = f"""
            import * as page from {json.dumps(str(folder / module))};
            import fs from "node:fs";
            const folder = {json.dumps(f"{folder}/")};
            const given = JSON.parse(fs.readFileSync(0, "utf8"));
            const result = await (async () => {{ {code} }})();
            fs.writeSync(1, JSON.stringify(result));"""
        done = subprocess.run(
            [command, "--input-type=module", "--eval", text],
            input=json.dumps(given),
            capture_output=True,
            encoding="utf-8",
        )
        assert not done.returncode and not done.stderr, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="module")
def runtime():
    """The folder of ONNX Runtime for browsers."""
    folder = MODULES / PACKAGE / "dist"
    if not folder.is_dir():
        missing("onnxruntime-web is not installed: npm install")
    return folder
