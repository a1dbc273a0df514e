"""Tests of what ``fftp-tag page`` writes; a browser tests what it does.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import base64
import hashlib
import json
from pathlib import Path

import pytest

from fftp_tag.cli import page
from speechbrain_fftp.dataio.errors import InputError

pytest.importorskip("onnxruntime")

NODE_MODULES = Path(__file__).resolve().parents[3] / "node_modules"


def write(*arguments):
    """Runs the verb."""
    parser = argparse.ArgumentParser()
    page.add_arguments(parser)
    page.run(parser.parse_args(list(map(str, arguments))))


def names(folder):
    """All files of a folder, relative to it."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix() for path in files}


def test_the_folder_has_all_that_the_page_needs(exported, tmp_path):
    hparams, model = exported
    target = tmp_path / "page"
    write(model, target)
    written = {"model.onnx", "model.json", "page.json"}
    assert names(target) == names(page.STATIC) | written
    copied = (target / "model.onnx").read_bytes()
    assert copied == (model / "model.onnx").read_bytes()
    about = json.loads((target / "model.json").read_text("utf-8"))
    assert about["labels"] == hparams["labels"]
    assert about["rules"] is None and about["min_samples"] == 400 + 9 * 160
    settings = json.loads((target / "page.json").read_text())
    assert f"onnxruntime-web@{page.VERSION}/" in settings["runtime"]
    assert settings["integrity"] == page.INTEGRITY
    assert settings["example"] is None


def test_a_filled_folder_stays_as_it_is(onnx_file, tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="FOLDER"):
        write(onnx_file, tmp_path)
    assert names(tmp_path) == {"notes.txt"}


def test_a_page_is_updated(onnx_file, tmp_path):
    """Files of others stay, an example goes if it is not given again."""
    target, example = tmp_path / "page", tmp_path / "dög & cat.flac"
    with pytest.raises(FileNotFoundError, match="cat.flac"):
        write(onnx_file, target, "--example", example)
    assert not target.exists()
    example.write_bytes(b"fLaC")
    write(onnx_file, target, "--example", example)
    settings = json.loads((target / "page.json").read_text("utf-8"))
    assert settings["example"] == example.name
    assert (target / "example" / example.name).read_bytes() == b"fLaC"
    before = names(target)
    (target / "CNAME").touch()
    (target / "page.js").write_text("of an earlier version")
    write(target / "model.onnx", target)
    assert names(target) == before - {f"example/{example.name}"} | {"CNAME"}
    copied = (target / "page.js").read_bytes()
    assert copied == (page.STATIC / "page.js").read_bytes()
    assert (target / "model.onnx").read_bytes() == onnx_file.read_bytes()


def test_a_model_with_weights_in_a_second_file_is_refused(onnx_file, tmp_path):
    onnx = pytest.importorskip("onnx")
    path = tmp_path / "large.onnx"
    model = onnx.load(onnx_file)
    onnx.save(
        model, path, save_as_external_data=True, location="large.onnx.data"
    )
    with pytest.raises(InputError, match="large.onnx"):
        write(path, tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_another_version_of_the_runtime_is_refused(onnx_file, tmp_path):
    with pytest.raises(FileNotFoundError, match="npm install"):
        write(onnx_file, tmp_path / "page", "--runtime", tmp_path)
    package = tmp_path / page.PACKAGE / "package.json"
    package.parent.mkdir()
    package.write_text('{"version": "1.0.0"}')
    with pytest.raises(InputError, match=page.VERSION):
        write(onnx_file, tmp_path / "page", "--runtime", tmp_path)


def test_the_hashes_are_those_of_the_package():
    if not (NODE_MODULES / page.PACKAGE).is_dir():
        pytest.skip("npm install has not been run")
    dist = page.find_runtime(NODE_MODULES)
    for name, integrity in page.INTEGRITY.items():
        digest = hashlib.sha384((dist / name).read_bytes()).digest()
        assert integrity == f"sha384-{base64.b64encode(digest).decode()}"
