"""Tests of what ``fftp-tag page`` writes; a browser tests what it does.

Authors
 * The speechbrain_fftp authors 2026
"""

import argparse
import json

import onnx
import pytest
from tiny_onnx import INFO, write_model

from fftp_tag.cli import page
from fftp_tag.errors import InputError


@pytest.fixture
def model(tmp_path):
    """A model of clips."""
    return write_model(tmp_path / "model.onnx")


def write(*arguments):
    """Runs the verb."""
    parser = argparse.ArgumentParser()
    page.add_arguments(parser)
    page.run(parser.parse_args(list(map(str, arguments))))


def names(folder):
    """All files of a folder, relative to it."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix() for path in files}


def test_the_folder_has_all_that_the_page_needs(model, tmp_path):
    target = tmp_path / "page"
    write(model, target)
    written = {"model.onnx", "model.json", "page.json"}
    assert names(target) == names(page.STATIC) | written
    assert (target / "model.onnx").read_bytes() == model.read_bytes()
    about = json.loads((target / "model.json").read_text("utf-8"))
    assert about == INFO.to_page()
    settings = json.loads((target / "page.json").read_text())
    assert f"onnxruntime-web@{page.VERSION}/" in settings["runtime"]
    assert settings["integrity"] == page.INTEGRITY
    assert settings["example"] is None
    with pytest.raises(InputError, match="not empty"):
        write(model, target)


def test_an_example(model, tmp_path):
    target, example = tmp_path / "page", tmp_path / "dög & cat.flac"
    with pytest.raises(FileNotFoundError, match="cat.flac"):
        write(model, target, "--example", example)
    assert not target.exists()
    example.write_bytes(b"fLaC")
    write(model, target, "--example", example)
    settings = json.loads((target / "page.json").read_text("utf-8"))
    assert settings["example"] == example.name
    assert (target / "example" / example.name).read_bytes() == b"fLaC"


def test_what_a_page_cannot_use(model, tmp_path):
    """Weights that are damaged or in another file, another runtime."""
    folder, package = tmp_path / "page", tmp_path / page.PACKAGE
    package.mkdir()
    (package / "package.json").write_text('{"version": "1.0.0"}')
    with pytest.raises(InputError, match=page.VERSION):
        write(model, folder, "--runtime", tmp_path)
    proto = onnx.load(model)
    onnx.save(proto, model, save_as_external_data=True, location="weights")
    with pytest.raises(InputError, match="model.onnx has its weights"):
        write(model, folder)
    assert not folder.exists()
