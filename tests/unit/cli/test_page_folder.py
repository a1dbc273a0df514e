"""Tests of what ``fftp-tag page`` writes; a browser tests what it does.

Authors
 * The speechbrain_fftp authors 2026
"""

import base64
import hashlib
import json
from pathlib import Path

import pytest

from speechbrain_fftp.cli import page
from speechbrain_fftp.cli.main import main

pytest.importorskip("onnxruntime")

ROOT = Path(__file__).resolve().parents[3]


def names(folder):
    """All files of a folder, relative to it."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix() for path in files}


@pytest.mark.parametrize("form", ["file", "folder"])
def test_the_folder_has_all_that_the_page_needs(
    exported, onnx_file, tmp_path, form
):
    model = onnx_file if form == "file" else exported[1]
    target = tmp_path / "page"
    assert main(["page", str(model), str(target)]) == 0
    static = names(page.STATIC)
    written = {"model.onnx", "model.json", "runtime.json"}
    assert names(target) == static | written
    if form == "file":
        assert (target / "model.onnx").read_bytes() == model.read_bytes()
    about = json.loads((target / "model.json").read_text("utf-8"))
    assert about["labels"] == exported[0]["labels"]
    assert about["thresholds"] is None and about["min_samples"] == 400 + 9 * 160
    runtime = json.loads((target / "runtime.json").read_text())
    assert f"onnxruntime-web@{page.VERSION}/" in runtime["folder"]
    assert runtime["integrity"] == page.INTEGRITY


def test_the_hashes_are_those_of_the_package():
    if not (ROOT / "node_modules" / page.PACKAGE).is_dir():
        pytest.skip("npm install has not been run")
    dist = page.find_runtime(ROOT / "node_modules")
    for name, integrity in page.INTEGRITY.items():
        digest = hashlib.sha384((dist / name).read_bytes()).digest()
        assert integrity == f"sha384-{base64.b64encode(digest).decode()}"
